// Options that several verbs take, and what they stand for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slopewise/data/dataset.hpp"
#include "slopewise/estimate/estimator.hpp"

namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI

namespace slopewise {

struct RunOptions {
  std::uint64_t seed = 1;
  int threads = 0;  // 0: what thread_count() finds
  bool quiet = false;
};

// Adds --seed, --threads and --quiet.
void add_run_options(CLI::App& command, RunOptions& options);
// Sets the number of threads.
void apply(const RunOptions& options);

// What every verb takes.
struct CommonOptions {
  std::string config;  // file; empty: none
  std::string colour = "auto";
};

// Adds --config and --color to every verb that has no verbs of its own and passes nothing on to another.
void add_common_options(CLI::App& app, CommonOptions& options);
// Sets the options of `command` that the command line left alone as its --config says, and whether to colour.
void apply(const CommonOptions& options, CLI::App& command);

// Accepts one of the names. Unlike CLI::IsMember it suggests the nearest one for another.
CLI::Validator one_of(std::vector<std::string> names);

struct DataOptions {
  std::string directory;  // or an .npz file; empty: the built-in digits
};

// Adds --data.
void add_data_options(CLI::App& command, DataOptions& options);
// Throws FileError where load_dataset does.
DataSplit load_data(const DataOptions& options);

// Adds --tangent-storage.
CLI::Option* add_storage_option(CLI::App& command, TangentStorage& storage);

// The words this program was called with, quoted where a shell would need it: what results.json calls `command`.
std::string command_line();

// Throws ArgumentError if the option was given although it only means something with `condition`, "--model mlp".
void require_unused_unless(bool holds, const CLI::Option& option, const std::string& condition);

}  // namespace slopewise
