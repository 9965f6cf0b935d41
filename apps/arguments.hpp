// Options that several verbs take, and what they stand for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/verb.hpp"
#include "slopewise/data/dataset.hpp"
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
  std::string directory;  // or an .npz file; empty: the built-in digits
};

// Adds --data; a verb that is about it takes it as its argument.
void add_data_options(Settings& settings, DataOptions& options, SettingTraits traits = {});
// Throws FileError where load_dataset does.
DataSplit load_data(const DataOptions& options);

// Adds --tangent-storage.
Setting& add_storage_option(Settings& settings, TangentStorage& storage, SettingTraits traits = {});

// The word as a shell takes it: quoted where it needs to be.
std::string shell_word(const std::string& word);

// The words this program was called with, quoted where a shell would need it: what results.json calls `command`.
std::string command_line();

}  // namespace slopewise
