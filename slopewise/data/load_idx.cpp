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

Array read_part(const std::filesystem::path& path, const LoadOptions& options, int least_rank) {
  Array array = read_idx(path, options.unpack);
  if (array.shape.rank() < least_rank || array.shape.size() == 0) {
    throw FileError(fmt::format("{}: expected an array of rank {} or more with entries, found shape {}", path.string(),
                                least_rank, array.shape.to_string()));
  }
  return array;
}

RawSet load_set(const std::filesystem::path& directory, const LoadOptions& options, const std::string& set) {
  const Array images = read_part(find_file(directory, set + " images", spellings(set, "images", 3)), options, 2);
  const Array labels = read_part(find_file(directory, set + " labels", spellings(set, "labels", 1)), options, 1);
  return {.where = images.where,
          .shape = Shape(std::vector(images.shape.begin() + 1, images.shape.end())),
          .inputs = images.rows,
          .targets = raw_targets(labels),
          .pixels = images.rows.type() == NumberType::kUint8};
}

}  // namespace

DirectoryFormat idx_format() {
  DirectoryFormat format{
      "IDX", "train-images-idx3-ubyte, …", {}, [](const std::filesystem::path& directory, const LoadOptions& options) {
        return RawSplit{.train = load_set(directory, options, "train"),
                        .test = load_set(directory, options, "t10k"),
                        .format = "IDX"};
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
