#include "slopewise/data/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/data/idx.hpp"

namespace slopewise {
namespace {

// The file of one part, for example ("train", "images", 3): the first spelling that is there.
std::filesystem::path find_part(const std::filesystem::path& directory, std::string_view set, std::string_view part,
                                int rank) {
  std::string tried;
  for (const char* separator : {"-", "."}) {
    for (const char* suffix : {"", ".gz"}) {
      const std::string spelling = fmt::format("{}-{}{}idx{}-ubyte{}", set, part, separator, rank, suffix);
      if (std::error_code ignored; std::filesystem::exists(directory / spelling, ignored)) return directory / spelling;
      tried += (tried.empty() ? "" : ", ") + spelling;
    }
  }
  throw FileError(fmt::format("{}: found no {} {}; looked for {}", directory.string(), set, part, tried));
}

ByteArray read_part(const std::filesystem::path& path, int rank) {
  ByteArray array = read_idx(path);
  if (array.shape.rank() != rank || array.bytes.empty()) {
    throw FileError(fmt::format("{}: expected an array of rank {} with entries, found shape {}", path.string(), rank,
                                array.shape.to_string()));
  }
  return array;
}

Dataset load_set(const std::filesystem::path& directory, const std::string& name, std::string_view set) {
  const auto images_path = find_part(directory, set, "images", 3);
  const auto labels_path = find_part(directory, set, "labels", 1);
  ByteArray images = read_part(images_path, 3);
  const ByteArray labels = read_part(labels_path, 1);
  if (images.shape[0] != labels.shape[0]) {
    throw FileError(fmt::format("{}: holds {} labels, expected {}, one an image of {}", labels_path.string(),
                                labels.shape[0], images.shape[0], images_path.string()));
  }
  return {.name = name,
          .image_shape = {images.shape[1], images.shape[2], 1},
          .pixels = std::move(images.bytes),
          .labels = {labels.bytes.begin(), labels.bytes.end()}};
}

// Calls copy(row, index) for every index once all are known to be in range and `out` to have the right size.
template <class Copy>
void gather(const char* function, const Dataset& dataset, std::span<const std::int64_t> indices, std::int64_t row_size,
            std::size_t out_size, Copy copy) {
  const std::int64_t rows = std::ssize(indices);
  if (static_cast<std::int64_t>(out_size) != rows * row_size) {
    throw ArgumentError(fmt::format("{}: out has {} entries, expected {} for {} rows of {}", function, out_size,
                                    rows * row_size, rows, row_size));
  }
  for (const std::int64_t index : indices) {
    if (index < 0 || index >= dataset.count()) {
      throw ArgumentError(fmt::format("{}: index {} is outside data set {} of {} images", function, index, dataset.name,
                                      dataset.count()));
    }
  }
  for (std::int64_t row = 0; row < rows; ++row) copy(row, indices[row]);
}

}  // namespace

DataSplit load_idx_directory(const std::filesystem::path& directory) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) {
    throw FileError(fmt::format("{}: expected a directory with IDX files, found {}", directory.string(),
                                error ? error.message() : "a file"));
  }
  const std::string name = std::filesystem::canonical(directory, error).filename().string();
  DataSplit split{load_set(directory, name, "train"), load_set(directory, name, "t10k")};
  if (split.train.image_shape != split.test.image_shape) {
    throw FileError(fmt::format("{}: train images are {} but t10k images are {}", directory.string(),
                                split.train.image_shape.to_string(), split.test.image_shape.to_string()));
  }
  const int classes =
      1 + std::max(*std::ranges::max_element(split.train.labels), *std::ranges::max_element(split.test.labels));
  split.train.classes = split.test.classes = classes;
  return split;
}

template <class T>
void gather_images(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<T> out) {
  const std::int64_t size = dataset.image_shape.size();
  if (std::ssize(dataset.pixels) != dataset.count() * size) {
    throw ArgumentError(fmt::format("gather_images: data set {} has {} pixels, expected {} for {} images of shape {}",
                                    dataset.name, dataset.pixels.size(), dataset.count() * size, dataset.count(),
                                    dataset.image_shape.to_string()));
  }
  gather("gather_images", dataset, indices, size, out.size(), [&](std::int64_t row, std::int64_t index) {
    std::transform(&dataset.pixels[index * size], &dataset.pixels[index * size] + size, &out[row * size],
                   [](std::uint8_t pixel) { return static_cast<T>(pixel) / T{255}; });
  });
}

template void gather_images(const Dataset&, std::span<const std::int64_t>, std::span<float>);
template void gather_images(const Dataset&, std::span<const std::int64_t>, std::span<double>);

void gather_labels(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<std::int32_t> out) {
  gather("gather_labels", dataset, indices, 1, out.size(),
         [&](std::int64_t row, std::int64_t index) { out[row] = dataset.labels[index]; });
}

}  // namespace slopewise
