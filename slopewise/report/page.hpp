// report.html: one self-contained page that shows a study, or training runs beside one another.
#pragma once

#include <span>
#include <string>

#include "slopewise/report/run_files.hpp"

namespace slopewise {

// The page of one study or of any number of training runs. Throws ArgumentError for another mixture, and FileError,
// naming the directory, for results that lack what their schema promises.
std::string report_page(std::span<const RunFiles> runs);

// The pages that it chooses from.
std::string study_page(const RunFiles& run);
std::string training_page(std::span<const RunFiles> runs);

}  // namespace slopewise
