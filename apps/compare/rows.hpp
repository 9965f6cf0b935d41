// What is compared: ways to make gradients and steps, on one task.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/train/options.hpp"

namespace slopewise {

// A row is some of `slopewise train`'s options, those that are not the task's.
struct RowSpec {
  std::string name;
  std::string what;    // what it is, in a few words; empty for what the user brought
  std::string preset;  // that it was taken from; empty for others
  std::string toml;
  bool control = false;  // says what the others are to be held against, and is always run
};

const NamedTable<RowSpec>& built_in_rows();

// Rows by name: built-in ones, presets, or files of options (NAME.toml); all built-in ones where none is named.
// Controls that are not among them follow. Throws ArgumentError for an unknown name or one given twice, FileError for a
// file that cannot be read.
std::vector<RowSpec> select_rows(const std::vector<std::string>& names);

// A row's options as `slopewise train` has them.
class Row {
 public:
  // `shared`: some of train's options; those that were given hold before the row's own, and those that make the task
  // are not the row's to set. Throws ArgumentError for a line of the row that is no option or does not fit, and for a
  // preset whose task is not `shared`'s.
  Row(RowSpec spec, const Settings& shared);

  const RowSpec& spec() const { return spec_; }
  const Settings& settings() const { return settings_; }
  const TrainOptions& options() const { return *options_; }
  // Sets an option ("rate").
  void set(const std::string& name, const Value& value) { settings_.at(name).set(value); }
  // What to type for the same run in the default directory.
  std::string command_line() const;

 private:
  RowSpec spec_;
  std::unique_ptr<TrainOptions> options_;
  Settings settings_;
};

}  // namespace slopewise
