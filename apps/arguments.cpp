#include "apps/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "apps/config.hpp"
#include "apps/data/fetch.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/base/lower_case.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/report/terminal.hpp"

namespace slopewise {
namespace {

constexpr int kMostThreads = 1024;

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
  settings.add(
      "data", options.path, text("PATH"),
      "Directory of images in IDX, CIFAR-10, NumPy or CSV files or in folders, or an .npz, .safetensors or CSV "
      "file; digits: the built-in ones",
      traits);
  settings.add("test-share", options.test_share, number(0, 1),
               "Share of a data set without a test set that is set apart as one, chosen by the seed");
  settings.add("label", options.label, text("COLUMN"), "Column of a CSV to learn: its name, or its number from 1",
               {.otherwise = "told by its name"});
  settings.add("target", options.target, one_of({"auto", "class", "number"}), "What is learned of each example");
  settings.add("layout", options.layout, one_of({"auto", "nhwc", "nchw", "table"}),
               "Axes of images: channels last or first; or a table, whose rows are no images", {.rare = true});
  settings.add("scale", options.scale, one_of({"auto", "none", "bytes", "standard"}),
               "Inputs as they are, by 255, or by mean and deviation in the training set", {.rare = true});
  settings.add("unpack-ratio", options.unpack_ratio, number(1, 1e6),
               "How many times their size compressed data may unpack to, past 64 MiB", {.rare = true});
}

namespace {

LoadOptions load_options(const DataOptions& options, std::uint64_t seed) {
  LoadOptions load{.test_share = options.test_share, .seed = seed, .label = options.label};
  if (options.layout != "auto") {
    load.layout = options.layout == "nhwc"   ? Layout::kChannelsLast
                  : options.layout == "nchw" ? Layout::kChannelsFirst
                                             : Layout::kTable;
  }
  if (options.target != "auto") load.target = options.target == "class" ? TargetKind::kClass : TargetKind::kNumber;
  if (options.scale != "auto") {
    load.scale = options.scale == "none"    ? Scaling::Rule::kNone
                 : options.scale == "bytes" ? Scaling::Rule::kBytes
                                            : Scaling::Rule::kStandard;
  }
  load.unpack.ratio = options.unpack_ratio;
  return load;
}

// Without data, or with their name, which takes the place of what a preset names.
bool is_digits(const DataOptions& options) {
  std::error_code ignored;
  return options.path.empty() || (options.path == "digits" && !std::filesystem::exists(options.path, ignored));
}

DataSplit load_path(const std::string& path, const LoadOptions& load) {
  std::error_code ignored;
  const std::vector<std::string> known = fetchable_names();
  if (!std::filesystem::exists(path, ignored) && std::ranges::find(known, path) != known.end()) {
    throw FileError(
        fmt::format("--data {}: found nothing there; fetch it: slopewise data fetch {}; or say --data DIR "
                    "where it is",
                    path, path));
  }
  return load_dataset(path, load);
}

// The built-in digits, of which nothing is open that an option could settle.
DataSplit digits_as_they_are(const DataOptions& options) {
  for (const auto& [name, given] : {std::pair("--label", !options.label.empty()),
                                    {"--target", options.target != "auto"},
                                    {"--layout", options.layout != "auto"},
                                    {"--scale", options.scale != "auto"},
                                    {"--test-share", options.test_share > 0}}) {
    if (given) {
      throw ArgumentError(fmt::format(
          "{}: expected data of your own (--data PATH), found the built-in digits, which leave it no choice", name));
    }
  }
  return builtin_digits();
}

}  // namespace

DataSplit load_data(const DataOptions& options, std::uint64_t seed) {
  if (is_digits(options)) return digits_as_they_are(options);
  return load_path(options.path, load_options(options, seed));
}

namespace {

// The built-in digits for a model that reads images of their size and has their classes, or, unless `exactly`, reads as
// many numbers and has more.
DataSplit digits_like(const DataOptions& options, const Dataset& like, bool exactly) {
  DataSplit digits = digits_as_they_are(options);
  const Shape& own = digits.test.image_shape;
  const bool fits = own == like.image_shape || (!exactly && like.image_shape.size() == own.size());
  if (!fits || like.integers || !like.others.empty() || like.label_shape != Shape() ||
      (exactly ? like.classes != digits.test.classes : like.classes < digits.test.classes)) {
    throw ArgumentError(
        fmt::format("--data: expected data like the network's, examples of {}, found none named; the built-in digits "
                    "are images {}, {} numbers each, of {} classes",
                    like.image_shape.to_string(), own.to_string(), own.size(), digits.test.classes));
  }
  for (Dataset* set : {&digits.train, &digits.test}) {
    set->image_shape = like.image_shape;
    set->classes = like.classes;
    if (std::ssize(set->class_names) != like.classes) set->class_names.clear();
  }
  return digits;
}

// "NAME=FILE:ARRAY".
std::map<std::string, ArrayPlace> array_places(const std::vector<std::string>& words) {
  std::map<std::string, ArrayPlace> places;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == word.size())
      throw ArgumentError(fmt::format("--input: expected NAME=FILE:ARRAY, found '{}'", word));
    // Files and arrays may have colons in their names: the array begins after the first colon that ends a file's, else
    // after the last.
    const std::string given = word.substr(equals + 1);
    ArrayPlace place{.file = given, .array = {}};
    std::error_code ignored;
    for (std::size_t colon = given.find(':');
         colon != std::string::npos && !std::filesystem::exists(place.file, ignored);
         colon = given.find(':', colon + 1))
      place = {.file = given.substr(0, colon), .array = given.substr(colon + 1)};
    if (!places.emplace(word.substr(0, equals), std::move(place)).second)
      throw ArgumentError(fmt::format("--input: {} is given twice", word.substr(0, equals)));
  }
  return places;
}

}  // namespace

DataSplit load_data(const DataOptions& options, std::uint64_t seed, const Dataset& like, DataUse use,
                    bool labels_needed) {
  LoadOptions load = load_options(options, seed);
  load.like = &like;
  load.trained = use == DataUse::kJudgeTrained || use == DataUse::kJudgeAgain;
  load.judged = use != DataUse::kTrainFile;
  load.labels_needed = labels_needed;
  if (!options.arrays.empty()) {
    if (!options.path.empty()) throw ArgumentError("--input: expected only without --data, which names all inputs");
    if (!options.label.empty())
      throw ArgumentError("--label: expected a table, found --input, which names the array of labels");
    return load_arrays(array_places(options.arrays), load);
  }
  if (is_digits(options)) return digits_like(options, like, use == DataUse::kJudgeTrained);
  return load_path(options.path, load);
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

std::string extension_of(const std::filesystem::path& file) {
  return lower_case(file.extension().string());
}

void require_extension(const std::string& option, const std::filesystem::path& file,
                       const std::vector<std::string>& extensions, bool may_lack) {
  const std::string extension = extension_of(file);
  if ((extension.empty() && may_lack) || std::ranges::find(extensions, extension) != extensions.end()) return;
  throw ArgumentError(fmt::format("{}: expected a name that ends in {}, found {}", option,
                                  fmt::join(extensions, " or "), file.string()));
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
