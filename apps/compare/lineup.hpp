// The rows of one comparison with the runs that each gets.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "apps/compare/rows.hpp"
#include "apps/compare/train_row.hpp"
#include "slopewise/data/dataset.hpp"

namespace slopewise {

struct CompareOptions {
  TrainOptions shared;  // what holds for every row
  std::vector<std::string> rows;
  std::string preset;
  Index seeds = 3;
  Index tune = 3;        // rates tried
  Index validation = 0;  // images held out meanwhile; 0: a tenth
  Index step_bytes = 0;  // rows whose step needs more are left out; 0: no limit
  bool list = false;
  RunDirectoryOptions directory;
  std::string resume;
};

struct Entry {
  Row row;
  Index epochs = 0;
  Index steps = 0;  // at most; 0: all of the epochs
  double epoch_seconds = 0;
  double run_seconds = 0;                          // of one run, by the time of its first steps
  std::vector<RowRun> choosing = {}, judged = {};  // runs to choose a rate by, and those of the table
  std::string note = {};
  std::vector<nlohmann::ordered_json> results = {};  // of the judged ones that are done
};

struct Lineup {
  std::vector<Entry> entries;
  nlohmann::ordered_json left_out = nlohmann::ordered_json::array();  // {"name", "why"}
};

// Selects the rows, times each and gives it its epochs, or steps of so many forward passes. Those that do not fit the
// task are left out, or, where the user asked for them, an ArgumentError; those whose step needs too much memory are
// left out. `shared`: what holds for every row.
Lineup time_rows(const CompareOptions& options, const Settings& shared, const DataSplit& data);

// The same, kept: a comparison that goes on keeps rows and epochs. Reading throws FileError.
nlohmann::ordered_json to_json(const Lineup& lineup);
Lineup read_lineup(const std::filesystem::path& path, const Settings& shared);

// Gives every row its runs, below the directory of the comparison.
void plan_runs(Lineup& lineup, const CompareOptions& options, const std::filesystem::path& directory,
               const DataSplit& data);

// What is still to be trained, by the times that were measured.
double seconds_left(const Lineup& lineup);

// The rate of the run with the least error, then loss, on the images held out; the smallest if all diverged.
double best_rate(std::span<const RowRun> runs, std::span<const nlohmann::ordered_json> results);

}  // namespace slopewise
