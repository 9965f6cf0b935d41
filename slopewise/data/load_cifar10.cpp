// CIFAR-10's binary version: https://www.cs.toronto.edu/~kriz/cifar.html. A batch is records of 3073 bytes: the label,
// then the red, green and blue planes of 32 × 32 pixels, row by row.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "slopewise/base/error.hpp"
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

// Appends the records of a batch, whose images stay in their file.
void read_batch(const std::filesystem::path& path, RawSet& set) {
  const auto file = std::make_shared<const InputFile>(path);
  if (file->size() == 0 || file->size() % kRecord != 0) {
    throw FileError(fmt::format("{}: expected records of {} bytes (label, 32×32 red, green, blue), found {} bytes",
                                path.string(), kRecord, file->size()));
  }
  const auto count = static_cast<Index>(file->size() / kRecord);
  for (Index i = 0; i < count; ++i) {
    std::uint8_t label = 0;
    file->read(static_cast<std::uint64_t>(i) * kRecord, {&label, 1});
    if (label >= kClasses) {
      throw FileError(
          fmt::format("{}: record {} has label {}, expected 0 to {}", path.string(), i, label, kClasses - 1));
    }
    set.targets->numbers.push_back(label);
  }
  set.inputs.append(Rows(file, 1, kRecord, NumberType::kUint8, ByteOrder::kLittle, count, kChannels * kPlane));
}

std::vector<std::string> read_class_names(const std::filesystem::path& path) {
  const InputFile file(path);
  std::vector<std::uint8_t> bytes(std::min(file.size(), kMostMetaBytes + 1));
  file.read(0, bytes);
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
                                path.string(), kClasses, names.size(), file.size()));
  }
  return names;
}

RawSplit load(const std::filesystem::path& directory, const LoadOptions&) {
  std::vector<std::filesystem::path> train;
  for (const char* file : std::span(kFiles).first(kTrainFiles))
    train.push_back(find_file(directory, "batch of training images", {file}));
  const auto test = find_file(directory, "test images", {kFiles.back()});

  const RawSet empty{.where = directory.string(),
                     .shape = {kChannels, kSide, kSide},
                     .targets = RawTargets{.where = directory.string()},
                     .layout = Layout::kChannelsFirst,
                     .pixels = true};
  RawSplit split{.train = empty, .test = empty, .format = "CIFAR-10", .classes = kClasses};
  for (const auto& path : train) read_batch(path, split.train);
  read_batch(test, *split.test);
  std::error_code ignored;
  if (std::filesystem::exists(directory / kMetaFile, ignored))
    split.class_names = read_class_names(directory / kMetaFile);
  return split;
}

}  // namespace

DirectoryFormat cifar10_format() {
  return {"CIFAR-10", "data_batch_1.bin, …", {kFiles.begin(), kFiles.end()}, load};
}

}  // namespace slopewise::detail
