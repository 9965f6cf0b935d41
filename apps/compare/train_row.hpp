// One run of one row: trained, looked at and filed; or read, if it was before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "apps/compare/rows.hpp"
#include "slopewise/data/dataset.hpp"

namespace slopewise {

struct RowRun {
  std::filesystem::path directory;
  std::optional<double> rate;  // none: by itself
  std::uint64_t seed;
  Index epochs;
  Index steps = 0;       // at most; 0: all of the epochs
  Index validation = 0;  // above 0: a run to choose a rate by, judged once, on held-out training images
};

// Whether train_row has brought this run to its end.
bool is_done(const RowRun& run);

// Sets the row's options to the run's, trains, and leaves results.json and metrics.jsonl in its directory. Returns
// results.json, which also has `command`, the one that repeats it, and `cosine` and `snr` of the gradient at start,
// middle and end (none of a run to choose by); of a run that is done, as it lies there. A run that diverges is done,
// with that status. `advanced` gets epochs of work done and a word on how it goes. Throws Interrupted after Ctrl-C,
// with nothing filed as done.
nlohmann::ordered_json train_row(Row& row, const RowRun& run, const DataSplit& data,
                                 const std::function<void(double epochs, const std::string& note)>& advanced);

}  // namespace slopewise
