#include "slopewise/report/page.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"

namespace slopewise {

namespace {

// What is made of a study, or of training runs.
template <class OfStudy, class OfTraining>
auto choose(std::span<const RunFiles> runs, OfStudy of_study, OfTraining of_training) {
  const auto studies = std::count_if(runs.begin(), runs.end(), [](const RunFiles& run) { return run.is_study(); });
  if (runs.empty() || (studies > 0 && runs.size() > 1)) {
    throw ArgumentError(fmt::format("report: expected one study or any number of training runs, found {} and {}",
                                    studies, static_cast<std::ptrdiff_t>(runs.size()) - studies));
  }
  try {
    return studies > 0 ? of_study(runs.front()) : of_training(runs);
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("{}: expected results as documented, found something else: {}",
                                runs.front().directory.string(), error.what()));
  }
}

}  // namespace

std::string report_page(std::span<const RunFiles> runs) {
  return choose(runs, study_page, training_page);
}

std::string picture_of_chart(std::span<const RunFiles> runs, const std::string& chart) {
  return picture_among(choose(runs, study_charts, training_charts), chart);
}

std::string picture_among(std::span<const Figures::Figure> charts, const std::string& chart) {
  std::vector<std::string> names;
  for (const Figures::Figure& figure : charts) {
    if (figure.name == chart) return picture_program(figure);
    names.push_back(figure.name);
  }
  throw ArgumentError(
      fmt::format("chart '{}': expected one of {}{}", chart, fmt::join(names, ", "), suggestion(chart, names)));
}

}  // namespace slopewise
