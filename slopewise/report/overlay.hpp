// A page that shows training runs over one another.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "slopewise/report/charts.hpp"
#include "slopewise/report/run_files.hpp"

namespace slopewise {

struct Overlay {
  std::span<const RunFiles> runs;
  std::vector<std::string> names;  // what the page calls the runs; no two alike
  std::string title;
  std::string question, answer;  // of the first screen
  std::string table;             // HTML: what the runs came to
};

std::string overlay_page(const Overlay& overlay);

// Its charts.
std::vector<Figures::Figure> overlay_charts(std::span<const RunFiles> runs, const std::vector<std::string>& names);

}  // namespace slopewise
