// Tables of training runs: how far each came, and by which options they differ.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "slopewise/report/run_files.hpp"

namespace slopewise {

// A share as "1.60 %"; "–" for NaN.
std::string percent(double share);

// How far each run came. Columns without a value are left out. `names` are what the page calls the runs.
std::string runs_table(std::span<const RunFiles> runs, const std::vector<std::string>& names);

// The options in which runs differ, one row an option, a column a run; and, folded, those that all share. "" for a
// single run, whose options are its facts.
std::string options_table(std::span<const RunFiles> runs, const std::vector<std::string>& names);

}  // namespace slopewise
