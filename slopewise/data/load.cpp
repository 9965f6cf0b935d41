#include "slopewise/data/load.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/lower_case.hpp"
#include "slopewise/data/formats.hpp"
#include "slopewise/data/image_file.hpp"

namespace slopewise {
namespace detail {

std::filesystem::path find_file(const std::filesystem::path& directory, const std::string& what,
                                const std::vector<std::string>& spellings) {
  for (const std::string& spelling : spellings) {
    if (std::error_code ignored; std::filesystem::exists(directory / spelling, ignored)) return directory / spelling;
  }
  throw FileError(fmt::format("{}: found no {}; looked for {}", directory.string(), what, fmt::join(spellings, ", ")));
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

bool holds(const std::filesystem::path& directory, const std::string& file, bool any_case) {
  std::error_code error;
  if (!any_case) return std::filesystem::exists(directory / file, error);
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (lower_case(entry->path().filename().string()) == lower_case(file)) return true;
  }
  return false;
}

// The one format whose files are in the directory.
detail::RawSplit load_directory(const std::filesystem::path& directory, const LoadOptions& options) {
  const detail::DirectoryFormat formats[] = {detail::idx_format(), detail::cifar10_format(), detail::npy_format(),
                                             detail::csv_format()};
  std::vector<detail::DirectoryFormat> found;
  std::string looked_for;
  for (const detail::DirectoryFormat& format : formats) {
    looked_for += fmt::format("{} ({}), ", format.name, format.told_by);
    if (std::ranges::any_of(format.files,
                            [&](const std::string& file) { return holds(directory, file, format.any_case); })) {
      found.push_back(format);
    }
  }
  if (found.size() > 1) {
    throw FileError(fmt::format("{}: expected the files of one data set, found those of {} ({}) and {} ({})",
                                directory.string(), found[0].name, found[0].told_by, found[1].name, found[1].told_by));
  }
  if (found.size() == 1) return found[0].load(directory, options);
  if (auto folders = detail::load_folders(directory, options)) return std::move(*folders);
  throw FileError(fmt::format(
      "{}: found no data set in this directory; looked for {}a folder of pictures for each class, in train and "
      "test or here, or name a file; found {}",
      directory.string(), looked_for, content(directory)));
}

// What a file holds, told by its content.
detail::RawSplit load_file(const std::filesystem::path& path, const LoadOptions& options) {
  const InputFile file(path);
  std::vector<std::uint8_t> start(std::min<std::uint64_t>(file.size(), 9));
  file.read(0, start);
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (text.starts_with("PK")) return detail::load_npz(path, options);
  // Eight bytes hold the length of a header in braces, below 2³²; text has no bytes of zero.
  if (text.size() == 9 && text[8] == '{' && text[7] == 0) return detail::load_safetensors(path, options);
  if (is_image_name(path)) {
    throw FileError(fmt::format("{}: expected a data set, found a picture; pictures lie in a folder for each class",
                                path.string()));
  }
  return detail::load_csv(path, options);
}

}  // namespace

DataSplit load_dataset(const std::filesystem::path& path, const LoadOptions& given) {
  LoadOptions options = given;
  if (options.like && options.like->classes == 0 && options.like->outputs == 0) options.labels_needed = false;
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw FileError(fmt::format("{}: expected a data set, a directory or a file, found {}", path.string(),
                                error ? error.message() : "nothing there"));
  }
  const bool directory = std::filesystem::is_directory(status);
  detail::RawSplit split = directory ? load_directory(path, options) : load_file(path, options);
  if (!options.label.empty() && split.format != "CSV") {
    throw ArgumentError(fmt::format("--label: expected a table (CSV), a column of which is learned, found {} in {}",
                                    split.format, path.string()));
  }
  const std::filesystem::path name = directory ? std::filesystem::canonical(path, error).filename() : path.stem();
  return detail::assemble(std::move(split), options, name.string());
}

}  // namespace slopewise
