// What load_dataset is made of: a loader for each format, and what they share.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "slopewise/data/load.hpp"
#include "slopewise/data/npy.hpp"

namespace slopewise::detail {

// What is learned of each example, as its file has it.
struct RawTargets {
  std::string where;               // what errors call them
  std::vector<double> numbers;     // (count, outputs); with `names`, places among those
  Index outputs = 1;               // of an example
  bool floating = false;           // their type has fractions
  std::vector<std::string> names;  // where they are words
};

// One set as its files have it.
struct RawSet {
  std::string where;  // what errors call the inputs
  Shape shape;        // of an example, as stored
  Rows inputs;
  std::optional<RawTargets> targets;  // none: the files have no labels
  std::optional<Layout> layout = {};  // where the format says
  bool pixels = false;                // the numbers are known for pixels from 0 to 255
  std::vector<OtherInput> others = {};
  std::vector<std::string> column_names = {};
};

struct RawSplit {
  RawSet train;
  std::optional<RawSet> test;
  std::string format;
  int classes = 0;  // where the format says
  std::vector<std::string> class_names = {};
  std::vector<std::string> left_out = {};  // DataSplit's
};

struct DirectoryFormat {
  std::string name;
  std::string told_by;             // for people: "data_batch_1.bin, …"
  std::vector<std::string> files;  // any of these tells that the format is there
  RawSplit (*load)(const std::filesystem::path& directory, const LoadOptions& options);
  bool any_case = false;  // the files' names may be in upper or lower case
};

DirectoryFormat idx_format();
DirectoryFormat cifar10_format();
DirectoryFormat npy_format();
DirectoryFormat csv_format();

RawSplit load_npz(const std::filesystem::path& path, const LoadOptions& options);
RawSplit load_safetensors(const std::filesystem::path& path, const LoadOptions& options);
RawSplit load_csv(const std::filesystem::path& path, const LoadOptions& options);
// Nothing where the directory holds no folders of images.
std::optional<RawSplit> load_folders(const std::filesystem::path& directory, const LoadOptions& options);

// Labels from here on are taken for damage, not for classes: a network has an output for each class.
inline constexpr std::int32_t kMostClasses = 65'536;

// The first of these files that is there. Throws FileError that says what was looked for: `what`, "train images".
std::filesystem::path find_file(const std::filesystem::path& directory, const std::string& what,
                                const std::vector<std::string>& spellings);

// An array of labels or of numbers, (count) or (count, outputs); of any rank where `like` says what a model answers.
// Throws FileError for another.
RawTargets raw_targets(const Array& array, const Dataset* like = nullptr);
// The same of NumPy's, which may also be words, one an example.
RawTargets raw_targets(NpyReader array, const Dataset* like = nullptr);

// Decides what the files leave open, as the options say or as it is evident, and checks that all fits together.
DataSplit assemble(RawSplit raw, const LoadOptions& options, const std::string& name);

}  // namespace slopewise::detail
