// MNIST and its kin: four IDX files.
#include <fmt/format.h>

#include <string_view>

#include "slopewise/base/error.hpp"
#include "slopewise/data/formats.hpp"
#include "slopewise/data/idx.hpp"

namespace slopewise::detail {
namespace {

// Of one part, for example ("train", "images", 3).
std::vector<std::string> spellings(std::string_view set, std::string_view part, int rank) {
  std::vector<std::string> names;
  for (const char* separator : {"-", "."}) {
    for (const char* suffix : {"", ".gz"}) {
      names.push_back(fmt::format("{}-{}{}idx{}-ubyte{}", set, part, separator, rank, suffix));
    }
  }
  return names;
}

ByteArray read_part(const std::filesystem::path& path, int rank) {
  ByteArray array = read_idx(path);
  if (array.shape.rank() != rank || array.bytes.empty()) {
    throw FileError(fmt::format("{}: expected an array of rank {} with entries, found shape {}", path.string(), rank,
                                array.shape.to_string()));
  }
  return array;
}

Dataset load_set(const std::filesystem::path& directory, const std::string& set) {
  const auto images_path = find_file(directory, set + " images", spellings(set, "images", 3));
  const auto labels_path = find_file(directory, set + " labels", spellings(set, "labels", 1));
  ByteArray images = read_part(images_path, 3);
  const ByteArray labels = read_part(labels_path, 1);
  return make_set(images_path.string(), images.shape, std::move(images.bytes), labels_path.string(),
                  {labels.bytes.begin(), labels.bytes.end()});
}

}  // namespace

DirectoryFormat idx_format() {
  DirectoryFormat format{"IDX", "train-images-idx3-ubyte, …", {}, [](const std::filesystem::path& directory) {
                           return DataSplit{load_set(directory, "train"), load_set(directory, "t10k")};
                         }};
  for (const char* set : {"train", "t10k"}) {
    for (const auto& [part, rank] : {std::pair{"images", 3}, {"labels", 1}}) {
      const auto names = spellings(set, part, rank);
      format.files.insert(format.files.end(), names.begin(), names.end());
    }
  }
  return format;
}

}  // namespace slopewise::detail
