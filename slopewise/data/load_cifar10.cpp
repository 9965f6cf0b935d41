// CIFAR-10's binary version: https://www.cs.toronto.edu/~kriz/cifar.html. A batch is records of 3073 bytes: the label,
// then the red, green and blue planes of 32 × 32 pixels, row by row.
#include <fmt/format.h>

#include <array>
#include <span>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/data/byte_reader.hpp"
#include "slopewise/data/formats.hpp"

namespace slopewise::detail {
namespace {

constexpr int kClasses = 10;
constexpr std::size_t kSide = 32, kPlane = kSide * kSide, kChannels = 3;
constexpr std::size_t kRecord = 1 + kChannels * kPlane;
constexpr std::uint64_t kMostMetaBytes = 4096;
// Five of training images, then the test images.
constexpr std::array kFiles = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                               "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
constexpr std::size_t kTrainFiles = 5;
constexpr const char* kMetaFile = "batches.meta.txt";

// Appends the records of a batch.
void read_batch(const std::filesystem::path& path, Dataset& set) {
  ByteReader reader = ByteReader::open_stored(path);
  const std::uint64_t size = reader.remaining();
  if (size == 0 || size % kRecord != 0) {
    throw FileError(fmt::format("{}: expected records of {} bytes (label, 32×32 red, green, blue), found {} bytes",
                                path.string(), kRecord, size));
  }
  const auto count = static_cast<std::size_t>(size / kRecord);
  set.labels.reserve(set.labels.size() + count);
  set.pixels.reserve(set.pixels.size() + count * kChannels * kPlane);
  std::vector<std::uint8_t> record(kRecord);
  for (std::size_t i = 0; i < count; ++i) {
    reader.read(record);
    if (record[0] >= kClasses) {
      throw FileError(
          fmt::format("{}: record {} has label {}, expected 0 to {}", path.string(), i, record[0], kClasses - 1));
    }
    set.labels.push_back(record[0]);
    for (std::size_t pixel = 0; pixel < kPlane; ++pixel) {
      for (std::size_t channel = 0; channel < kChannels; ++channel) {
        set.pixels.push_back(record[1 + channel * kPlane + pixel]);
      }
    }
  }
}

std::vector<std::string> read_class_names(const std::filesystem::path& path) {
  ByteReader reader = ByteReader::open_stored(path);
  const std::uint64_t size = reader.remaining();
  const auto bytes = reader.read_up_to(kMostMetaBytes + 1);
  std::vector<std::string> names;
  std::string name;
  for (const char c : std::string(bytes.begin(), bytes.end()) + '\n') {
    if (c != '\n' && c != '\r') {
      name += c;
    } else if (!name.empty()) {
      names.push_back(std::exchange(name, {}));
    }
  }
  if (bytes.size() > kMostMetaBytes || names.size() != kClasses) {
    throw FileError(fmt::format("{}: expected the names of {} classes, a line each, found {} lines in {} bytes",
                                path.string(), kClasses, names.size(), size));
  }
  return names;
}

DataSplit load(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> train;
  for (const char* file : std::span(kFiles).first(kTrainFiles))
    train.push_back(find_file(directory, "batch of training images", {file}));
  const auto test = find_file(directory, "test images", {kFiles.back()});

  DataSplit split;
  for (const auto& path : train) read_batch(path, split.train);
  read_batch(test, split.test);
  std::error_code ignored;
  const bool named = std::filesystem::exists(directory / kMetaFile, ignored);
  for (Dataset* set : {&split.train, &split.test}) {
    set->image_shape = {kSide, kSide, kChannels};
    set->classes = kClasses;
    if (named) set->class_names = read_class_names(directory / kMetaFile);
  }
  return split;
}

}  // namespace

DirectoryFormat cifar10_format() {
  return {"CIFAR-10", "data_batch_1.bin, …", {kFiles.begin(), kFiles.end()}, load};
}

}  // namespace slopewise::detail
