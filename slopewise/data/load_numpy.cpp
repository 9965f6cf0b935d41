// Images and labels as NumPy arrays: four .npy files in a directory, or one .npz archive.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <functional>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/data/formats.hpp"
#include "slopewise/data/npz.hpp"

namespace slopewise::detail {
namespace {

// What an array is called here, and by Keras.
using Spellings = std::array<const char*, 2>;
struct SetNames {
  Spellings images, labels;
};
constexpr SetNames kTrain = {{"train_images", "x_train"}, {"train_labels", "y_train"}};
constexpr SetNames kTest = {{"test_images", "x_test"}, {"test_labels", "y_test"}};

// Opens the first spelling there is, or throws FileError.
using OpenFirst = std::function<NpyReader(const Spellings& spellings)>;

std::vector<std::int32_t> read_labels(NpyReader array) {
  const Shape& shape = array.shape();
  // Keras keeps CIFAR's labels as a column.
  if (shape.rank() != 1 && !(shape.rank() == 2 && shape[1] == 1)) {
    throw FileError(fmt::format("{}: expected labels of shape (count) or (count, 1), found shape {}", array.where(),
                                shape.to_string()));
  }
  if (array.type() == NpyType::kFloat32 || array.type() == NpyType::kFloat64) {
    throw FileError(
        fmt::format("{}: expected integer labels, found entries of type {}", array.where(), type_code(array.type())));
  }
  return array.read<std::int32_t>();
}

Dataset load_set(const OpenFirst& open, const SetNames& names) {
  NpyReader images = open(names.images);
  NpyReader labels = open(names.labels);
  // Floating pixels may be in [0, 1] or [0, 255] or standardised; only bytes leave no doubt.
  if (images.type() != NpyType::kUint8) {
    throw FileError(fmt::format("{}: expected pixels of type {} (uint8, 0 to 255), found {}", images.where(),
                                type_code(NpyType::kUint8), type_code(images.type())));
  }
  const std::string images_from = images.where(), labels_from = labels.where();
  const Shape shape = images.shape();
  return make_set(images_from, shape, images.read<std::uint8_t>(), labels_from, read_labels(std::move(labels)));
}

DataSplit load_split(const OpenFirst& open) {
  return {load_set(open, kTrain), load_set(open, kTest)};
}

std::vector<std::string> file_names(const Spellings& arrays) {
  std::vector<std::string> files;
  for (const char* array : arrays) files.push_back(fmt::format("{}.npy", array));
  return files;
}

}  // namespace

DirectoryFormat npy_format() {
  DirectoryFormat format{"NumPy", "train_images.npy, … or x_train.npy, …", {}, [](const std::filesystem::path& from) {
                           return load_split([&](const Spellings& spellings) {
                             return NpyReader::open(find_file(from, "array", file_names(spellings)));
                           });
                         }};
  for (const SetNames& set : {kTrain, kTest}) {
    for (const auto& part : {set.images, set.labels}) {
      for (const std::string& file : file_names(part)) format.files.push_back(file);
    }
  }
  return format;
}

DataSplit load_npz(const std::filesystem::path& path) {
  const NpzFile file(path);
  return load_split([&](const Spellings& spellings) {
    for (const char* spelling : spellings) {
      if (file.contains(spelling)) return file.open(spelling);
    }
    const auto names = file.names();
    throw FileError(fmt::format("{}: found no array {}; it holds {}", path.string(), fmt::join(spellings, " or "),
                                names.empty() ? "none" : fmt::format("{:?}", fmt::join(names, ", "))));
  });
}

}  // namespace slopewise::detail
