#include "slopewise/data/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

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
