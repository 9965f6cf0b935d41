#include "slopewise/report/page.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {

std::string report_page(std::span<const RunFiles> runs) {
  const auto studies = std::count_if(runs.begin(), runs.end(), [](const RunFiles& run) { return run.is_study(); });
  if (runs.empty() || (studies > 0 && runs.size() > 1)) {
    throw ArgumentError(fmt::format("report: expected one study or any number of training runs, found {} and {}",
                                    studies, static_cast<std::ptrdiff_t>(runs.size()) - studies));
  }
  try {
    return studies > 0 ? study_page(runs.front()) : training_page(runs);
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("{}: expected results as documented, found something else: {}",
                                runs.front().directory.string(), error.what()));
  }
}

}  // namespace slopewise
