// Labelled images in memory, and rows of them as numbers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

struct Dataset {
  std::string name;
  Shape image_shape;                          // (height, width, channels)
  int classes = 0;                            // labels are in [0, classes)
  std::vector<std::uint8_t> pixels;           // (count, height, width, channels)
  std::vector<std::int32_t> labels;           // (count)
  std::vector<std::string> class_names = {};  // (classes), or none where nobody said

  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

struct DataSplit {
  Dataset train, test;
  std::string format;  // what it was read from: "IDX", "CIFAR-10", …
};

// Copies the images at `indices` as pixel / 255 into `out`, (indices.size(), height·width·channels), for float and
// double. Throws ArgumentError for an index out of range or an `out` of another size.
template <class T>
void gather_images(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<T> out);

// Copies the labels at `indices` into `out`, with the same errors.
void gather_labels(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<std::int32_t> out);

}  // namespace slopewise
