// Pictures in a folder for each class, as torchvision's ImageFolder has them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "slopewise/base/error.hpp"
#include "slopewise/data/formats.hpp"
#include "slopewise/data/image_file.hpp"

namespace slopewise::detail {
namespace {

namespace fs = std::filesystem;

// What a directory holds, sorted; hidden files left out.
std::vector<fs::path> entries_of(const fs::path& directory, bool directories) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (entry->path().filename().string().starts_with('.')) continue;
    if (entry->is_directory(ignored) == directories) found.push_back(entry->path());
  }
  if (error) throw FileError(fmt::format("{}: cannot be listed: {}", directory.string(), error.message()));
  std::ranges::sort(found);
  return found;
}

// The folders of a directory that hold pictures.
std::vector<fs::path> class_folders(const fs::path& directory) {
  std::vector<fs::path> folders = entries_of(directory, true);
  std::erase_if(folders,
                [](const fs::path& folder) { return std::ranges::none_of(entries_of(folder, false), is_image_name); });
  return folders;
}

RawSet load_set(const fs::path& directory, const std::vector<fs::path>& folders, const LoadOptions& options) {
  std::vector<ImageFile> pictures;
  RawTargets targets{.where = directory.string()};
  fs::path first;
  Index channels = 1;
  std::uint64_t packed = 0, unpacked = 0;
  for (const fs::path& folder : folders) {
    for (const fs::path& path : entries_of(folder, false)) {
      if (!is_image_name(path)) continue;
      ImageFile picture = read_image(path);
      if (pictures.empty()) {
        first = path;
      } else if (picture.shape[0] != pictures[0].shape[0] || picture.shape[1] != pictures[0].shape[1]) {
        throw FileError(fmt::format("{}: {}×{} pixels, expected {}×{} as in {}: all pictures need one size",
                                    path.string(), picture.shape[0], picture.shape[1], pictures[0].shape[0],
                                    pictures[0].shape[1], first.string()));
      }
      std::error_code ignored;
      packed += fs::file_size(path, ignored);
      unpacked += picture.pixels.size();
      if (unpacked > options.unpack.bytes(packed)) {
        throw FileError(
            fmt::format("{}: pictures unpack to more than {} bytes, {:g} times what they take in the files, which few "
                        "real ones do; allow more with --unpack-ratio",
                        path.string(), options.unpack.bytes(packed), options.unpack.ratio));
      }
      channels = std::max(channels, picture.shape[2]);
      targets.numbers.push_back(static_cast<double>(targets.names.size()));
      pictures.push_back(std::move(picture));
    }
    targets.names.push_back(folder.filename().string());
  }
  const Shape shape{pictures[0].shape[0], pictures[0].shape[1], channels};
  std::vector<std::uint8_t> pixels;
  pixels.reserve(pictures.size() * static_cast<std::size_t>(shape.size()));
  for (ImageFile& picture : pictures) {
    for (const std::uint8_t pixel : picture.pixels) {
      // Grey among colours has all three alike.
      pixels.insert(pixels.end(), static_cast<std::size_t>(channels / picture.shape[2]), pixel);
    }
    picture.pixels = {};
  }
  return {.where = directory.string(),
          .shape = shape,
          .inputs = Rows(std::move(pixels), shape.size()),
          .targets = std::move(targets),
          .layout = Layout::kChannelsLast,
          .pixels = true};
}

// What the directory of the test set is called, the first that is there.
constexpr std::array kTestFolders = {"test", "val", "valid", "validation"};

RawSplit load_split(const fs::path& directory, const std::vector<fs::path>& train_folders, const LoadOptions& options) {
  RawSplit split{.format = "image folders"};
  fs::path test;
  std::vector<std::string> found;
  for (const char* name : kTestFolders) {
    std::error_code ignored;
    if (!fs::is_directory(directory / name, ignored)) continue;
    found.push_back(name);
    if (test.empty() && !class_folders(directory / name).empty()) {
      test = directory / name;
    } else {
      split.left_out.push_back(fmt::format("the directory {}", name));
    }
  }
  if (test.empty() && !found.empty())
    throw FileError(fmt::format(
        "{}: expected a folder of pictures for each class in {}, found none; a directory elsewhere may have "
        "pictures without, for predict",
        directory.string(), fmt::join(found, ", ")));
  if (test.empty()) {
    throw FileError(
        fmt::format("{}: found train but none of {}; name {} itself and its --test-share, or move examples to one",
                    directory.string(), fmt::join(kTestFolders, ", "), (directory / "train").string()));
  }
  split.train = load_set(directory / "train", train_folders, options);
  split.test = load_set(test, class_folders(test), options);
  return split;
}

}  // namespace

std::optional<RawSplit> load_folders(const fs::path& directory, const LoadOptions& options) {
  std::error_code ignored;
  if (const fs::path train = directory / "train"; fs::is_directory(train, ignored)) {
    if (const auto folders = class_folders(train); !folders.empty()) return load_split(directory, folders, options);
  }
  if (const auto folders = class_folders(directory); !folders.empty())
    return RawSplit{.train = load_set(directory, folders, options), .format = "image folders"};
  if (std::ranges::none_of(entries_of(directory, false), is_image_name)) return {};
  if (options.labels_needed) {
    throw FileError(
        fmt::format("{}: found pictures that lie in no folder, expected one for each class, in train and test or "
                    "here; only predict takes pictures without",
                    directory.string()));
  }
  RawSplit split{.train = load_set(directory, {directory}, options), .format = "image folders"};
  split.train.targets.reset();
  return split;
}

}  // namespace slopewise::detail
