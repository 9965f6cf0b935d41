// Every option with a number, of every verb: what it takes, in words and in files.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/config.hpp"
#include "apps/parse.hpp"
#include "apps/program.hpp"
#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// What nothing that is given a number takes.
const std::vector<std::string> kWrong = {"nan", "NaN", "-nan", "inf", "+inf", "-inf",  "infinity", "1e400", "-1e400",
                                         "8x",  "",    "0x10", "0b1", "1_0",  "1_000", "+-3",      "--8",   " 5",
                                         "8 ",  " 8",  "1,,2", "2,",  ",2",   "eight", "0.5."};
const std::vector<std::string> kNotWhole = {"3.5", "15e-1", "99999999999999999999999999"};
const std::vector<std::string> kWrongInFiles = {"nan",  "inf", "-inf",  "true", "\"8x\"",
                                                "\"\"", "[]",  "[[1]]", "[{}]", "1979-05-27"};

class Program {
 public:
  Verb& operator*() { return *program_; }
  // By its path; null where it names none.
  Verb* find(const std::string& path) {
    Verb* found = nullptr;
    each([&](Verb& verb) { found = verb.path == path ? &verb : found; });
    return found;
  }
  void each(const std::function<void(Verb&)>& visit) { each(*program_, visit); }

 private:
  static void each(Verb& verb, const std::function<void(Verb&)>& visit) {
    visit(verb);
    for (Verb& inner : verb.verbs) each(inner, visit);
  }

  CommonOptions common_;
  std::unique_ptr<Verb> program_ = make_program(common_, [](const std::vector<std::string>&) { return 0; });
};

struct Number {
  std::vector<std::string> path;  // of its verb, without the program's name
  std::string verb, option, label;
  bool in_files;
  std::optional<std::pair<double, double>> limits;  // none where the range is in units
};

// Every option that takes numbers, but those that are arguments: words that begin with a dash are options there.
std::vector<Number> numbers() {
  std::vector<Number> found;
  Program().each([&](const Verb& verb) {
    for (const Setting& setting : verb.settings.all()) {
      if (setting.kind.range.empty() || setting.traits.positional) continue;
      Number number{.path = {},
                    .verb = verb.path,
                    .option = setting.name,
                    .label = setting.kind.label,
                    .in_files = setting.traits.in_files,
                    .limits = {}};
      for (std::size_t begin = verb.path.find(' '); begin != std::string::npos;) {
        const std::size_t end = verb.path.find(' ', begin + 1);
        number.path.push_back(verb.path.substr(begin + 1, end == std::string::npos ? end : end - begin - 1));
        begin = end;
      }
      double least = 0, most = 0;
      if (std::sscanf(setting.kind.range.c_str(), "%lf to %lf", &least, &most) == 2) number.limits = {least, most};
      found.push_back(std::move(number));
    }
  });
  return found;
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ArgumentError& error) {
    return error.what();
  }
  return "it was taken";
}

// What the program says of the option and a value, as a word.
std::string told(Program& program, const Number& number, const std::string& wrong) {
  std::vector<std::string> words = number.path;
  words.insert(words.end(), {"--" + number.option, wrong});
  return message_of([&] { parse(*program, words); });
}

// The same of a file's second line.
std::string told_of_file(Program& program, const Number& number, const std::string& typed) {
  return message_of([&] {
    apply_config(program.find(number.verb)->settings, fmt::format("# a line\n{} = {}\n", number.option, typed),
                 "file.toml");
  });
}

std::vector<std::string> outside(const Number& number) {
  if (!number.limits) return {};
  const auto [least, most] = *number.limits;
  return {fmt::format("{:g}", most * 2 + 1), fmt::format("{:g}", least - 1 - std::abs(least))};
}

TEST(Settings, EveryNumberIsChecked) {
  Program program;  // one for all: what refuses a value sets nothing
  const std::vector<Number> all = numbers();
  EXPECT_GT(all.size(), 150U);
  for (const Number& number : all) {
    std::vector<std::string> wrong = kWrong;
    for (const std::string& each : outside(number)) wrong.push_back(each);
    if (number.label.starts_with('N')) wrong.insert(wrong.end(), kNotWhole.begin(), kNotWhole.end());
    for (const std::string& each : wrong) {
      const std::string message = told(program, number, each);
      const std::string where = fmt::format("{} --{}={}", number.verb, number.option, each);
      EXPECT_THAT(message, StartsWith(fmt::format("--{}: expected ", number.option))) << where;
      EXPECT_THAT(message, HasSubstr(fmt::format("{} --help", number.verb))) << where;
    }
    EXPECT_THAT(told(program, number, "8x"), HasSubstr("found '8x'")) << number.verb;
  }
}

TEST(Settings, EveryNumberInAFileIsChecked) {
  Program program;
  for (const Number& number : numbers()) {
    if (!number.in_files) continue;
    std::vector<std::string> wrong = kWrongInFiles;
    for (const std::string& each : outside(number)) wrong.push_back(each);
    for (const std::string& each : wrong) {
      EXPECT_THAT(told_of_file(program, number, each),
                  StartsWith(fmt::format("file.toml, line 2: {}: expected ", number.option)))
          << number.verb << ": " << each;
    }
  }
}

std::string repeated(std::string_view what, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += what;
  return all;
}

// What parser and destructor of a document would take more stack for than there is.
TEST(Settings, DeepTomlIsRefused) {
  Program program;
  const auto told = [&](const std::string& toml) {
    return message_of([&] { apply_config(program.find("slopewise train")->settings, toml, "file.toml"); });
  };
  for (const std::size_t depth : {65, 100'000}) {
    const std::string dotted = repeated("a.", depth) + "a", half = repeated("a . ", (depth + 1) / 2) + "a";
    for (const std::string& deep : {
             dotted + " = 1",
             "[" + dotted + "]",
             "[[" + dotted + "]]",
             "[" + half + "]\n" + half + " = 1",
             "a = " + repeated("[", depth),
             "a = " + repeated("[\n", depth) + repeated("]", depth),
             "a = " + repeated("{a = ", depth) + "1" + repeated("}", depth),
             "a = [{" + half + " = {" + half + " = 1}}]",
             repeated("\"a.]\" .'b#' . ", depth) + "a = 1",
             R"(a = ["\"", '\', """"{"""", ''''''', 1.5, {)" + dotted,
         }) {
      EXPECT_THAT(told("# a line\nbatch = 2\n" + deep), StartsWith("file.toml, line ")) << deep.substr(0, 80);
      EXPECT_THAT(told("# a line\nbatch = 2\n" + deep), HasSubstr("nested deeper than 64")) << deep.substr(0, 80);
    }
  }
}

TEST(Settings, WhatIsNotDeepIsTaken) {
  for (const std::string& toml : {
           "# " + repeated("[a.", 1000) + "\n",
           "data = '" + repeated("[a.", 1000) + "'",
           "data = \"\"\"" + repeated("{\"a.\"", 1000) + "\"\"\"\n",
           "hidden = [" + repeated("10, ", 1000) + "]",
           repeated("# a.b\n", 1000) + "[train]\nrate = 0.5 # [[[",
       }) {
    Program program;  // what was given before is not set again
    EXPECT_EQ(message_of([&] { apply_config(program.find("slopewise train")->settings, toml, "file.toml"); }),
              "it was taken")
        << toml.substr(0, 80);
  }
  // What no option takes is left to those who say so.
  Program program;
  const std::string deepest = "train" + repeated(".a", 63) + " = 1.5";
  EXPECT_THAT(message_of([&] { apply_config(program.find("slopewise train")->settings, deepest, "file.toml"); }),
              testing::Not(HasSubstr("nested")));
}

}  // namespace
}  // namespace slopewise
