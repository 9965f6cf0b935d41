// Options that several verbs take, and what they stand for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/verb.hpp"
#include "slopewise/data/load.hpp"
#include "slopewise/estimate/estimator.hpp"

namespace slopewise {

struct RunOptions {
  std::uint64_t seed = 1;
  int threads = 0;  // 0: what thread_count() finds
  bool quiet = false;
};

// Adds --seed, --threads and --quiet.
void add_run_options(Settings& settings, RunOptions& options);
// Sets the number of threads.
void apply(const RunOptions& options);

// What every verb takes.
struct CommonOptions {
  std::string config;  // file; empty: none
  std::string colour = "auto";
  bool asks = false;  // for help or the version, which end the parsing
};

// Gives every verb its path and --help, and those that have no verbs of their own and pass nothing on to another
// --config and --color.
void add_common_options(Verb& program, CommonOptions& options);
// Sets the options that the command line left alone as its --config says, and whether to colour.
void apply(const CommonOptions& options, Settings& settings);

struct DataOptions {
  std::string path;                 // empty, or "digits": the built-in digits
  std::vector<std::string> arrays;  // "NAME=FILE:ARRAY", in place of `path`
  double test_share = 0;
  std::string label, layout = "auto", target = "auto", scale = "auto";
  double unpack_ratio = UnpackLimit().ratio;
};

// Adds --data, which a verb that is about it takes as its argument, and the options that settle what files leave open.
void add_data_options(Settings& settings, DataOptions& options, SettingTraits traits = {});
// `seed`: of --test-share. Throws as load_dataset does; for a name that `slopewise data fetch` knows and nothing there,
// with the command that fetches it.
DataSplit load_data(const DataOptions& options, std::uint64_t seed);
// The same for a network that reads sets like `like`, which has no examples: to train a model from a file, or to judge
// (as to look at gradients) and predict, with a network that was trained or with a model from a file; where there is
// one set, a model from a file is judged on it and finds it as its training set, too.
enum class DataUse { kTrainFile, kJudgeFile, kJudgeTrained, kJudgeAgain };  // the last: on the data it was trained on
DataSplit load_data(const DataOptions& options, std::uint64_t seed, const Dataset& like, DataUse use,
                    bool labels_needed = true);

// Adds --tangent-storage.
Setting& add_storage_option(Settings& settings, TangentStorage& storage, SettingTraits traits = {});

// What tells a file's format, in small letters: ".npz".
std::string extension_of(const std::filesystem::path& file);
// Throws ArgumentError for a file to write whose name ends in none of these, but for one that ends in nothing if it
// may.
void require_extension(const std::string& option, const std::filesystem::path& file,
                       const std::vector<std::string>& extensions, bool may_lack = true);

// The word as a shell takes it: quoted where it needs to be.
std::string shell_word(const std::string& word);

// The words this program was called with, quoted where a shell would need it: what results.json calls `command`.
std::string command_line();

}  // namespace slopewise
