#include "slopewise/data/load.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/data/formats.hpp"

namespace slopewise {
namespace detail {

std::filesystem::path find_file(const std::filesystem::path& directory, const std::string& what,
                                const std::vector<std::string>& spellings) {
  for (const std::string& spelling : spellings) {
    if (std::error_code ignored; std::filesystem::exists(directory / spelling, ignored)) return directory / spelling;
  }
  throw FileError(fmt::format("{}: found no {}; looked for {}", directory.string(), what, fmt::join(spellings, ", ")));
}

Dataset make_set(const std::string& images_from, const Shape& images, std::vector<std::uint8_t> pixels,
                 const std::string& labels_from, std::vector<std::int32_t> labels) {
  if ((images.rank() != 3 && images.rank() != 4) || images.size() == 0) {
    throw FileError(
        fmt::format("{}: expected images (count, height, width) or (count, height, width, channels) with "
                    "entries, found shape {}",
                    images_from, images.to_string()));
  }
  if (std::ssize(labels) != images[0]) {
    throw FileError(fmt::format("{}: holds {} labels, expected {}, one an image of {}", labels_from, labels.size(),
                                images[0], images_from));
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= kMostClasses) {
      throw FileError(fmt::format("{}: label {} is {}, expected 0 to {}", labels_from, i, labels[i], kMostClasses - 1));
    }
  }
  return {.image_shape = {images[1], images[2], images.rank() == 4 ? images[3] : 1},
          .pixels = std::move(pixels),
          .labels = std::move(labels)};
}

}  // namespace detail

namespace {

// At most so many names of what a directory holds go into an error.
constexpr std::size_t kMostNamed = 8;

std::string content(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) return fmt::format("that it cannot be listed: {}", error.message());
  if (names.empty()) return "nothing";
  std::ranges::sort(names);
  const std::size_t named = std::min(names.size(), kMostNamed);
  const std::string rest = names.size() > named ? fmt::format(" and {} more", names.size() - named) : "";
  names.resize(named);
  return fmt::format("{:?}{}", fmt::join(names, ", "), rest);
}

// The one format whose files are in the directory.
detail::DirectoryFormat recognise(const std::filesystem::path& directory) {
  const detail::DirectoryFormat formats[] = {detail::idx_format(), detail::cifar10_format(), detail::npy_format(),
                                             detail::csv_format()};
  std::vector<detail::DirectoryFormat> found;
  std::string looked_for;
  for (const detail::DirectoryFormat& format : formats) {
    looked_for += fmt::format("{} ({}), ", format.name, format.told_by);
    if (std::ranges::any_of(format.files, [&](const std::string& file) {
          std::error_code ignored;
          return std::filesystem::exists(directory / file, ignored);
        })) {
      found.push_back(format);
    }
  }
  if (found.empty()) {
    throw FileError(fmt::format("{}: found no data set in this directory; looked for {}or name an .npz file; found {}",
                                directory.string(), looked_for, content(directory)));
  }
  if (found.size() > 1) {
    throw FileError(fmt::format("{}: expected the files of one data set, found those of {} ({}) and {} ({})",
                                directory.string(), found[0].name, found[0].told_by, found[1].name, found[1].told_by));
  }
  return found[0];
}

// Checks that the two sets belong together, and names them.
DataSplit finish(DataSplit split, const std::filesystem::path& path, const std::string& name) {
  if (split.train.image_shape != split.test.image_shape) {
    throw FileError(fmt::format("{}: train images are {} but test images are {}", path.string(),
                                split.train.image_shape.to_string(), split.test.image_shape.to_string()));
  }
  const std::int32_t largest =
      std::max(*std::ranges::max_element(split.train.labels), *std::ranges::max_element(split.test.labels));
  for (Dataset* set : {&split.train, &split.test}) {
    set->name = name;
    if (set->classes == 0) set->classes = largest + 1;
  }
  return split;
}

}  // namespace

DataSplit load_dataset(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw FileError(fmt::format("{}: expected a directory with a data set or an .npz file, found {}", path.string(),
                                error ? error.message() : "nothing there"));
  }
  const std::filesystem::path whole = std::filesystem::canonical(path, error);
  if (std::filesystem::is_directory(status)) {
    const detail::DirectoryFormat format = recognise(path);
    DataSplit split = finish(format.load(path), path, whole.filename().string());
    split.format = format.name;
    return split;
  }
  if (path.extension() != ".npz") {
    throw FileError(fmt::format("{}: expected a directory with a data set or an .npz file, found {}", path.string(),
                                std::filesystem::is_regular_file(status) ? "another file" : "neither"));
  }
  DataSplit split = finish(detail::load_npz(path), path, path.stem().string());
  split.format = "NumPy .npz";
  return split;
}

}  // namespace slopewise
