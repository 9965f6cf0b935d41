#include "apps/arguments.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <map>

#include "apps/config.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/data/load.hpp"
#include "slopewise/report/terminal.hpp"

namespace slopewise {
namespace {

constexpr int kMostThreads = 1024;

// The built-in digits are one fixed data set, as MNIST is: no seed of the user's changes them.
constexpr std::int64_t kDigitsTrain = 10'000;
constexpr std::int64_t kDigitsTest = 2'000;
constexpr std::uint64_t kDigitsSeed = 1;

}  // namespace

void add_run_options(CLI::App& command, RunOptions& options) {
  // Files hold the seed as an int64.
  command.add_option("--seed", options.seed, "Seed of everything random; the same seed gives the same bits")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{INT64_MAX}))
      ->capture_default_str();
  command.add_option("--threads", options.threads, "Threads; they change the time, not the results [all cores]")
      ->type_name("N")
      ->check(CLI::Range(1, kMostThreads));
  command.add_flag("-q,--quiet", options.quiet, "Print nothing but errors");
}

void apply(const RunOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
}

void add_common_options(CLI::App& app, CommonOptions& options) {
  const std::vector<CLI::App*> verbs = app.get_subcommands({});
  for (CLI::App* verb : verbs) add_common_options(*verb, options);
  if (!verbs.empty() || app.get_allow_extras()) return;
  app.add_option("--config", options.config, "Take options that are not given here from a TOML file")
      ->type_name("FILE")
      ->configurable(false);
  app.add_option("--color", options.colour, "Whether to colour what is printed")
      ->type_name("WHEN")
      ->check(one_of({"auto", "always", "never"}))
      ->capture_default_str()
      ->configurable(false);
}

void apply(const CommonOptions& options, CLI::App& command) {
  if (!options.config.empty()) apply_config(command, read_text(options.config), options.config);
  set_colour(options.colour == "always"  ? ColourMode::kAlways
             : options.colour == "never" ? ColourMode::kNever
                                         : ColourMode::kAuto);
}

CLI::Validator one_of(std::vector<std::string> names) {
  const std::string list = fmt::format("{{{}}}", fmt::join(names, ","));
  return CLI::Validator(
      [names = std::move(names)](const std::string& word) {
        if (std::find(names.begin(), names.end(), word) != names.end()) return std::string();
        return fmt::format("expected one of {}, found {}{}", fmt::join(names, ", "), word, suggestion(word, names));
      },
      list);
}

void add_data_options(CLI::App& command, DataOptions& options) {
  command
      .add_option("--data", options.directory,
                  "Directory of images in IDX, CIFAR-10, NumPy or CSV files, or an .npz file [built-in digits]")
      ->type_name("PATH");
}

DataSplit load_data(const DataOptions& options) {
  if (options.directory.empty()) return builtin_digits(kDigitsTrain, kDigitsTest, kDigitsSeed);
  return load_dataset(options.directory);
}

CLI::Option* add_storage_option(CLI::App& command, TangentStorage& storage) {
  static const std::map<std::string, TangentStorage> names = {
      {"auto", TangentStorage::kAuto}, {"stored", TangentStorage::kStored}, {"drawn", TangentStorage::kDrawn}};
  return command
      .add_option(
          "--tangent-storage", storage,
          "Dense tangents: stored, drawn again wherever they are needed, or auto: whichever is quicker and fits")
      ->type_name("NAME")
      ->transform(CLI::CheckedTransformer(names).description("{auto,stored,drawn}"))
      ->default_str("auto");
}

std::string command_line() {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%";
  std::ifstream words("/proc/self/cmdline", std::ios::binary);
  std::string line, word;
  while (std::getline(words, word, '\0')) {
    if (line.empty()) {
      line = "slopewise";
    } else if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += " " + word;
    } else {
      line += " '";
      for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
      line += "'";
    }
  }
  return line;
}

void require_unused_unless(bool holds, const CLI::Option& option, const std::string& condition) {
  if (option.count() > 0 && !holds) {
    throw ArgumentError(fmt::format("{}: expected only with {}", option.get_name(), condition));
  }
}

}  // namespace slopewise
