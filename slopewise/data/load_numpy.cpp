// Examples and labels as arrays by name: .npy files in a directory, or one .npz or .safetensors file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/data/formats.hpp"
#include "slopewise/data/npz.hpp"
#include "slopewise/data/safetensors.hpp"

namespace slopewise::detail {
namespace {

// What arrays are called, in any case: of inputs and what is learned of them.
struct SetNames {
  const char* inputs;
  const char* targets;
};
constexpr SetNames kTrain[] = {
    {"train_images", "train_labels"}, {"x_train", "y_train"}, {"train_x", "train_y"}, {"train_data", "train_labels"}};
constexpr SetNames kTest[] = {
    {"test_images", "test_labels"}, {"x_test", "y_test"}, {"test_x", "test_y"}, {"test_data", "test_labels"}};
constexpr SetNames kWhole[] = {{"x", "y"}, {"data", "target"}, {"images", "labels"}, {"data", "labels"}};

// Arrays by name.
struct Arrays {
  std::string where;
  std::vector<std::string> names;
  std::function<Array(const std::string&)> open;

  // The name of the array that is called so but for upper and lower case.
  std::optional<std::string> find(std::string_view wanted) const {
    const auto lower = [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); };
    const auto found = std::ranges::find_if(
        names, [&](const std::string& name) { return std::ranges::equal(name, wanted, {}, lower, lower); });
    return found == names.end() ? std::nullopt : std::optional(*found);
  }
};

// The set under the first of these pairs of names of which there are inputs.
std::optional<RawSet> load_set(const Arrays& arrays, std::span<const SetNames> spellings, bool labels_needed) {
  for (bool with_labels : {true, false}) {
    for (const SetNames& names : spellings) {
      const auto inputs_name = arrays.find(names.inputs), targets_name = arrays.find(names.targets);
      if (!inputs_name || (with_labels && !targets_name)) continue;
      if (!targets_name && labels_needed) {
        std::vector<std::string> wanted;
        for (const SetNames& pair : spellings) {
          if (arrays.find(pair.inputs)) wanted.emplace_back(pair.targets);
        }
        throw FileError(fmt::format("{}: found {} but no {}; it holds {:?}", arrays.where, *inputs_name,
                                    fmt::join(wanted, " or "), fmt::join(arrays.names, ", ")));
      }
      const Array inputs = arrays.open(*inputs_name);
      RawSet set{.where = inputs.where,
                 .shape = Shape(std::vector(inputs.shape.begin() + 1, inputs.shape.end())),
                 .inputs = inputs.rows,
                 .pixels = inputs.rows.type() == NumberType::kUint8};
      if (targets_name) set.targets = raw_targets(arrays.open(*targets_name));
      return set;
    }
  }
  return {};
}

RawSplit load_split(const Arrays& arrays, const LoadOptions& options, const std::string& format) {
  const bool labels = options.labels_needed;
  std::optional<RawSet> train = load_set(arrays, kTrain, labels), test = load_set(arrays, kTest, labels);
  if (!train && !test) train = load_set(arrays, kWhole, labels);
  if (!train && test && options.like) train = std::exchange(test, {});
  if (!train) {
    const auto named = arrays.names.empty() ? "none" : fmt::format("{:?}", fmt::join(arrays.names, ", "));
    throw FileError(fmt::format("{}: found no array {}; it holds {}", arrays.where,
                                test ? "train_images or x_train" : "train_images, x_train, X, data or images", named));
  }
  return {.train = std::move(*train), .test = std::move(test), .format = format};
}

std::vector<std::string> npy_names(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".npy") names.push_back(entry->path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

RawSplit load_directory(const std::filesystem::path& directory, const LoadOptions& options) {
  const Arrays arrays{directory.string(), npy_names(directory),
                      [&](const std::string& name) { return NpyReader::open(directory / (name + ".npy")).array(); }};
  return load_split(arrays, options, "NumPy");
}

}  // namespace

DirectoryFormat npy_format() {
  DirectoryFormat format{"NumPy", "x_train.npy, …, or X.npy, y.npy", {}, load_directory, true};
  for (const std::span<const SetNames> spellings : {std::span(kTrain), std::span(kTest), std::span(kWhole)}) {
    for (const SetNames& names : spellings) {
      format.files.push_back(fmt::format("{}.npy", names.inputs));
      format.files.push_back(fmt::format("{}.npy", names.targets));
    }
  }
  return format;
}

RawSplit load_npz(const std::filesystem::path& path, const LoadOptions& options) {
  const NpzFile file(path, options.unpack);
  return load_split({path.string(), file.names(), [&](const std::string& name) { return file.open(name).array(); }},
                    options, "NumPy .npz");
}

RawSplit load_safetensors(const std::filesystem::path& path, const LoadOptions& options) {
  const SafetensorsFile file(path);
  return load_split({path.string(), file.names(), [&](const std::string& name) { return file.array(name); }}, options,
                    "safetensors");
}

}  // namespace slopewise::detail
