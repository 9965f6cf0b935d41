// Labelled images in memory, and rows of them as numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

struct Dataset {
  std::string name;
  Shape image_shape;                 // (height, width, channels)
  int classes = 0;                   // labels are in [0, classes)
  std::vector<std::uint8_t> pixels;  // (count, height, width, channels)
  std::vector<std::int32_t> labels;  // (count)

  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

struct DataSplit {
  Dataset train, test;
};

// Reads the four files of MNIST and its kin from a directory, in the spellings train-images-idx3-ubyte or
// train-images.idx3-ubyte, plain or .gz. Both sets are named after the directory; classes is the largest label of
// either plus one. Throws FileError for a missing directory or file, images that are not (count, height, width) with
// entries, counts of images and labels that differ, or train and test images of different shapes.
DataSplit load_idx_directory(const std::filesystem::path& directory);

// Copies the images at `indices` as pixel / 255 into `out`, (indices.size(), height·width·channels), for float and
// double. Throws ArgumentError for an index out of range or an `out` of another size.
template <class T>
void gather_images(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<T> out);

// Copies the labels at `indices` into `out`, with the same errors.
void gather_labels(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<std::int32_t> out);

}  // namespace slopewise
