// Examples and labels as arrays by name: .npy files in a directory, or one .npz or .safetensors file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/base/lower_case.hpp"
#include "slopewise/data/formats.hpp"
#include "slopewise/data/layout.hpp"
#include "slopewise/data/npz.hpp"
#include "slopewise/data/safetensors.hpp"

namespace slopewise::detail {
namespace {

// What arrays are called, in any case: of inputs and what is learned of them.
struct SetNames {
  std::string inputs, targets;
};

// One of the sets of a file: "train", "test", "val", … or, where a file has one set alone, "".
struct Role {
  std::string name;
  std::vector<SetNames> usual;

  // How an array of this set may be called.
  std::vector<std::string> spellings(const std::string& array) const {
    if (name.empty()) return {array};
    return {array + "_" + name, name + "_" + array};
  }
};
Role role_called(const std::string& name) {
  const std::string labels = name + "_labels";
  return {
      name,
      {{name + "_images", labels}, {"x_" + name, "y_" + name}, {name + "_x", name + "_y"}, {name + "_data", labels}}};
}
const Role& train_role() {
  static const Role role = role_called("train");
  return role;
}
// The test set is the first of these that is there.
const std::vector<Role>& test_roles() {
  static const std::vector<Role> roles{role_called("test"), role_called("val"), role_called("valid"),
                                       role_called("validation")};
  return roles;
}
const Role& whole_role() {
  static const Role role{"", {{"x", "y"}, {"data", "target"}, {"images", "labels"}, {"data", "labels"}}};
  return role;
}

Array as_array(Array array) {
  return array;
}
Array as_array(NpyReader array) {
  return array.array();
}

// Arrays by name.
struct Arrays {
  std::string where;
  std::vector<std::string> names;
  std::function<Array(const std::string&)> open;
  std::function<RawTargets(const std::string&, const Dataset* like)> targets;

  // The name of the array that is called so but for upper and lower case.
  std::optional<std::string> find(std::string_view wanted) const {
    const auto found = std::ranges::find(names, lower_case(wanted), lower_case);
    return found == names.end() ? std::nullopt : std::optional(*found);
  }
  std::optional<std::string> find_any(const std::vector<std::string>& wanted) const {
    for (const std::string& name : wanted) {
      if (const auto found = find(name)) return found;
    }
    return {};
  }
};

RawSet set_from(const Array& inputs) {
  return {.where = inputs.where,
          .shape = Shape(std::vector(inputs.shape.begin() + 1, inputs.shape.end())),
          .inputs = inputs.rows,
          .pixels = inputs.rows.type() == NumberType::kUint8};
}

// The set as the model's own names have it; nothing where its first input has not got an array.
std::optional<RawSet> load_named(const Arrays& arrays, const Role& role, const Dataset& like, bool labels_needed) {
  const auto first = arrays.find_any(role.spellings(like.input_name));
  if (!first) return {};
  RawSet set = set_from(arrays.open(*first));
  std::vector<std::string> wanted;
  for (const char* name : {"label", "labels", "target", "targets", "y"}) {
    const auto more = role.spellings(name);
    wanted.insert(wanted.end(), more.begin(), more.end());
  }
  if (const auto targets = arrays.find_any(wanted)) {
    set.targets = arrays.targets(*targets, &like);
  } else if (labels_needed) {
    throw FileError(fmt::format("{}: found {} but none of {}; it holds {:?}", arrays.where, *first,
                                fmt::join(wanted, ", "), fmt::join(arrays.names, ", ")));
  }
  return set;
}

OtherInput other_from(const Array& array, const OtherInput& like) {
  const Shape own(std::vector(array.shape.begin() + 1, array.shape.end()));
  if (!same_but_for_ones(own, like.shape)) {
    throw FileError(fmt::format("{}: examples of the input {} are {}, expected {}, as the model reads", array.where,
                                like.name, own.to_string(), like.shape.to_string()));
  }
  return {like.name, like.shape, like.integers, array.rows};
}

void add_others(RawSet& set, const Arrays& arrays, const Role& role, const Dataset& like) {
  for (const OtherInput& other : like.others) {
    const auto name = arrays.find_any(role.spellings(other.name));
    if (!name) {
      throw FileError(fmt::format("{}: found no array {} for the model's input {}; it holds {:?}", arrays.where,
                                  fmt::join(role.spellings(other.name), " or "), other.name,
                                  fmt::join(arrays.names, ", ")));
    }
    set.others.push_back(other_from(arrays.open(*name), other));
  }
}

// The set under the first of these pairs of names of which there are inputs.
std::optional<RawSet> load_usual(const Arrays& arrays, std::span<const SetNames> spellings, const Dataset* like,
                                 bool labels_needed) {
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
      RawSet set = set_from(arrays.open(*inputs_name));
      if (targets_name) set.targets = arrays.targets(*targets_name, like);
      return set;
    }
  }
  return {};
}

std::optional<RawSet> load_set(const Arrays& arrays, const Role& role, const LoadOptions& options) {
  const Dataset* like = options.like;
  const bool labels = options.labels_needed;
  std::optional<RawSet> set = like ? load_named(arrays, role, *like, labels) : std::nullopt;
  if (!set) set = load_usual(arrays, role.usual, like, labels);
  if (set && like) add_others(*set, arrays, role, *like);
  return set;
}

// The name of a set's inputs, where it has some.
std::optional<std::string> inputs_of(const Arrays& arrays, const Role& role, const LoadOptions& options) {
  std::vector<std::string> wanted;
  if (options.like) wanted = role.spellings(options.like->input_name);
  for (const SetNames& names : role.usual) wanted.push_back(names.inputs);
  return arrays.find_any(wanted);
}

RawSplit load_split(const Arrays& arrays, const LoadOptions& options, const std::string& format) {
  std::optional<RawSet> train = load_set(arrays, train_role(), options), test;
  std::vector<std::string> left_out;
  for (const Role& role : test_roles()) {
    if (!test) {
      test = load_set(arrays, role, options);
    } else if (const auto more = inputs_of(arrays, role, options)) {
      left_out.push_back(fmt::format("the array {}", *more));
    }
  }
  if (!train && !test) train = load_set(arrays, whole_role(), options);
  if (!train && test && options.judged) train = std::exchange(test, {});
  if (!train) {
    const auto named = arrays.names.empty() ? "none" : fmt::format("{:?}", fmt::join(arrays.names, ", "));
    const std::string own = options.like ? fmt::format(", {}", options.like->input_name) : "";
    const std::string hint = arrays.find("arr_0") ? "; give them names: numpy.savez(path, X=…, y=…)" : "";
    throw FileError(fmt::format("{}: found no array {}{}; it holds {}{}", arrays.where,
                                test ? "train_images or x_train" : "train_images, x_train, X, data or images", own,
                                named, hint));
  }
  return {.train = std::move(*train), .test = std::move(test), .format = format, .left_out = std::move(left_out)};
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

// `open` makes a NpyReader or an Array of a name.
template <class Open>
Arrays arrays_from(const std::filesystem::path& path, std::vector<std::string> names, Open open) {
  return {.where = path.string(),
          .names = std::move(names),
          .open = [=](const std::string& name) { return as_array(open(name)); },
          .targets = [=](const std::string& name, const Dataset* like) { return raw_targets(open(name), like); }};
}

RawSplit load_directory(const std::filesystem::path& directory, const LoadOptions& options) {
  const auto open = [&](const std::string& name) { return NpyReader::open(directory / (name + ".npy")); };
  return load_split(arrays_from(directory, npy_names(directory), open), options, "NumPy");
}

}  // namespace

DirectoryFormat npy_format() {
  DirectoryFormat format{"NumPy", "x_train.npy, …, or X.npy, y.npy", {}, load_directory, true};
  std::vector<Role> roles = test_roles();
  roles.insert(roles.end(), {train_role(), whole_role()});
  for (const Role& role : roles) {
    for (const SetNames& names : role.usual) {
      format.files.push_back(fmt::format("{}.npy", names.inputs));
      format.files.push_back(fmt::format("{}.npy", names.targets));
    }
  }
  return format;
}

RawSplit load_npz(const std::filesystem::path& path, const LoadOptions& options) {
  const NpzFile file(path, options.unpack);
  const auto open = [&](const std::string& name) { return file.open(name); };
  return load_split(arrays_from(path, file.names(), open), options, "NumPy .npz");
}

RawSplit load_safetensors(const std::filesystem::path& path, const LoadOptions& options) {
  const SafetensorsFile file(path);
  const auto open = [&](const std::string& name) { return file.array(name); };
  return load_split(arrays_from(path, file.names(), open), options, "safetensors");
}

// What `take` makes of the array at a place, a NpyReader or an Array.
template <class Take>
auto take_array(const ArrayPlace& place, const UnpackLimit& unpack, Take take) {
  const std::string extension = place.file.extension().string();
  if (extension == ".npy") {
    if (!place.array.empty())
      throw ArgumentError(fmt::format("{}: holds one array, found the name {:?}", place.file.string(), place.array));
    return take(NpyReader::open(place.file));
  }
  const auto named = [&](const std::vector<std::string>& names) {
    if (std::ranges::find(names, place.array) != names.end()) return place.array;
    if (place.array.empty() && names.size() == 1) return names.front();
    throw ArgumentError(fmt::format("{}: found no array {:?}; it holds {:?}", place.file.string(), place.array,
                                    fmt::join(names, ", ")));
  };
  if (extension == ".safetensors") {
    const SafetensorsFile file(place.file);
    return take(file.array(named(file.names())));
  }
  const NpzFile file(place.file, unpack);
  return take(file.open(named(file.names())));
}

}  // namespace slopewise::detail

namespace slopewise {

DataSplit load_arrays(const std::map<std::string, ArrayPlace>& places, const LoadOptions& options) {
  const Dataset& like = *options.like;
  const std::string learned = like.classes > 0 ? "label" : like.outputs > 0 ? "target" : "";
  std::map<std::string, Array> arrays;
  std::optional<detail::RawTargets> targets;
  const auto is_input = [&](const std::string& name) {
    return name == like.input_name || std::ranges::find(like.others, name, &OtherInput::name) != like.others.end();
  };
  for (const auto& [name, place] : places) {
    if (name == learned && !is_input(name)) {
      targets = detail::take_array(place, options.unpack,
                                   [&](auto array) { return detail::raw_targets(std::move(array), &like); });
    } else {
      arrays.emplace(name, detail::take_array(place, options.unpack,
                                              [](auto array) { return detail::as_array(std::move(array)); }));
    }
  }
  const auto missing = [&](const std::string& name) {
    std::vector<std::string> given;
    for (const auto& [other, place] : places) given.push_back(other);
    return ArgumentError(
        fmt::format("--input: expected {}, which the model reads, found {}", name, fmt::join(given, ", ")));
  };
  const auto take = [&](const std::string& name) {
    const auto found = arrays.find(name);
    if (found == arrays.end()) throw missing(name);
    return arrays.extract(found).mapped();
  };
  detail::RawSet set = detail::set_from(take(like.input_name));
  for (const OtherInput& other : like.others) set.others.push_back(detail::other_from(take(other.name), other));
  if (!learned.empty() && options.labels_needed && !targets) throw missing(learned);
  set.targets = std::move(targets);
  if (!arrays.empty()) {
    throw ArgumentError(fmt::format("--input: the model reads no {}; expected its inputs{}", arrays.begin()->first,
                                    learned.empty() ? "" : " and " + learned));
  }
  return detail::assemble({.train = std::move(set), .test = {}, .format = "arrays"}, options,
                          places.at(like.input_name).file.stem().string());
}

}  // namespace slopewise
