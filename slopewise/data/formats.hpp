// What load_dataset is made of: a loader for each format, and what they share.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/data/dataset.hpp"

namespace slopewise::detail {

struct DirectoryFormat {
  std::string name;
  std::string told_by;             // for people: "data_batch_1.bin, …"
  std::vector<std::string> files;  // any of these tells that the format is there
  // Reads both sets; which names and classes they have is left to finish_split, but for CIFAR-10's classes.
  DataSplit (*load)(const std::filesystem::path& directory);
};

DirectoryFormat idx_format();
DirectoryFormat cifar10_format();
DirectoryFormat npy_format();
DirectoryFormat csv_format();

DataSplit load_npz(const std::filesystem::path& path);

// Labels from here on are taken for damage, not for classes: a network has an output for each class.
inline constexpr std::int32_t kMostClasses = 65'536;

// The first of these files that is there. Throws FileError that says what was looked for: `what`, "train images".
std::filesystem::path find_file(const std::filesystem::path& directory, const std::string& what,
                                const std::vector<std::string>& spellings);

// The images and labels of one set from two sources, which errors call by these names. `images` is (count, height,
// width) or (count, height, width, channels). Throws FileError unless there are pixels, and as many labels as images.
Dataset make_set(const std::string& images_from, const Shape& images, std::vector<std::uint8_t> pixels,
                 const std::string& labels_from, std::vector<std::int32_t> labels);

}  // namespace slopewise::detail
