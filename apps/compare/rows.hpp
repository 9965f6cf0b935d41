// What is compared: ways to make gradients and steps, on one task.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/train/options.hpp"

namespace CLI {
class App;
}

namespace slopewise {

// A row is some of `slopewise train`'s options, those that are not the task's.
struct RowSpec {
  std::string name;
  std::string what;    // what it is, in a few words; empty for what the user brought
  std::string preset;  // that it was taken from; empty for others
  std::string toml;
  bool control = false;  // says what the others are to be held against, and is always run
};

std::span<const RowSpec> built_in_rows();

// Rows by name: built-in ones, presets, or files of options (NAME.toml); all built-in ones where none is named.
// Controls that are not among them follow. Throws ArgumentError for an unknown name or one given twice, FileError for a
// file that cannot be read.
std::vector<RowSpec> select_rows(const std::vector<std::string>& names);

// The lines of a file of options that make the task: network, regularisation, batch and length; or the others.
enum class Part { kTask, kMethod };
std::string lines_of(Part part, const std::string& toml);

// A row's options as `slopewise train` has them.
class Row {
 public:
  // `shared`: a command with some of train's options; those that were given hold before the row's own. Throws
  // ArgumentError for a line of the row that is no option or does not fit.
  Row(RowSpec spec, const CLI::App& shared);
  Row(Row&&) noexcept;
  Row& operator=(Row&&) noexcept;
  ~Row();

  const RowSpec& spec() const { return spec_; }
  const CLI::App& command() const { return *command_; }
  const TrainOptions& options() const { return *options_; }
  // Sets an option ("rate") to what its user would write.
  void set(const std::string& name, const std::string& value);
  // What to type for the same run in the default directory.
  std::string command_line() const;

 private:
  RowSpec spec_;
  std::unique_ptr<TrainOptions> options_;
  std::unique_ptr<CLI::App> command_;
};

}  // namespace slopewise
