#include "apps/arguments.hpp"

#include <fmt/format.h>

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

void add_run_options(Settings& settings, RunOptions& options) {
  // Files hold the seed as an int64.
  settings.add("seed", options.seed, whole(0, INT64_MAX),
               "Seed of everything random; the same seed gives the same bits", {.part = Part::kShared});
  settings.add("threads", options.threads, whole(1, kMostThreads), "Threads; they change the time, not the results",
               {.otherwise = "all cores", .resumable = true, .part = Part::kShared});
  settings.flag("quiet", options.quiet, "Print nothing but errors",
                {.letter = 'q', .resumable = true, .part = Part::kShared});
}

void apply(const RunOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
}

namespace {

void add_common_options(Verb& verb, CommonOptions& options, const std::string& path) {
  verb.path = path;
  for (Verb& each : verb.verbs) add_common_options(each, options, path + " " + each.name());
  Settings& settings = verb.settings;
  settings.begin("");
  if (verb.verbs.empty() && !verb.rest) {
    settings.add("config", options.config, text("FILE"), "Take options that are not given here from a TOML file",
                 {.in_files = false});
    settings.add("color", options.colour, one_of({"auto", "always", "never"}), "Whether to colour what is printed",
                 {.in_files = false, .resumable = true});
  }
  settings.flag("help", options.asks, "Print this and exit", {.letter = 'h', .in_files = false});
  const bool more = std::ranges::any_of(settings.all(), [](const Setting& each) { return each.traits.rare; });
  settings.flag("help-all", options.asks, "Print all options and exit", {.hidden = !more, .in_files = false});
}

}  // namespace

void add_common_options(Verb& program, CommonOptions& options) {
  add_common_options(program, options, program.name());
  program.settings.flag("version", options.asks, "Print the version and what it runs on, then exit",
                        {.letter = 'v', .in_files = false});
}

void apply(const CommonOptions& options, Settings& settings) {
  if (!options.config.empty()) apply_config(settings, read_text(options.config), options.config);
  set_colour(options.colour == "always"  ? ColourMode::kAlways
             : options.colour == "never" ? ColourMode::kNever
                                         : ColourMode::kAuto);
}

void add_data_options(Settings& settings, DataOptions& options, SettingTraits traits) {
  traits.otherwise = "built-in digits";
  settings.add("data", options.directory, text("PATH"),
               "Directory of images in IDX, CIFAR-10, NumPy or CSV files, or an .npz file", traits);
}

DataSplit load_data(const DataOptions& options) {
  if (options.directory.empty()) return builtin_digits(kDigitsTrain, kDigitsTest, kDigitsSeed);
  return load_dataset(options.directory);
}

Setting& add_storage_option(Settings& settings, TangentStorage& storage, SettingTraits traits) {
  static const std::map<std::string, TangentStorage> kNames = {
      {"auto", TangentStorage::kAuto}, {"stored", TangentStorage::kStored}, {"drawn", TangentStorage::kDrawn}};
  const auto read = [&storage] {
    return Value(std::ranges::find(kNames, storage, [](const auto& entry) { return entry.second; })->first);
  };
  return settings.add(
      "tangent-storage", read, [&storage](const Value& name) { storage = kNames.at(name.get<std::string>()); },
      one_of({"auto", "stored", "drawn"}),
      "Dense tangents: stored, drawn again wherever they are needed, or auto, whichever is quicker and fits", traits);
}

std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string command_line() {
  std::ifstream words("/proc/self/cmdline", std::ios::binary);
  std::string line, word;
  while (std::getline(words, word, '\0')) line = line.empty() ? "slopewise" : line + " " + shell_word(word);
  return line;
}

}  // namespace slopewise
