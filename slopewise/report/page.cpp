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

template <class Files>
std::vector<Files> those(std::span<const ReportFiles> files) {
  std::vector<Files> found;
  for (const ReportFiles& each : files) {
    if (const auto* one = std::get_if<Files>(&each)) found.push_back(*one);
  }
  return found;
}

// What is made of files of one kind.
template <class OfComparison, class OfAudits, class OfRuns>
auto of_kind(std::span<const ReportFiles> files, OfComparison of_comparison, OfAudits of_audits, OfRuns of_runs) {
  const auto comparisons = those<ComparisonFiles>(files);
  if (!comparisons.empty() && files.size() > 1) {
    throw ArgumentError(fmt::format("report: expected a comparison alone, found {} runs, {} of them comparisons",
                                    files.size(), comparisons.size()));
  }
  if (!comparisons.empty()) return of_comparison(comparisons.front());
  const auto audits = those<AuditFiles>(files);
  if (!audits.empty() && audits.size() < files.size()) {
    throw ArgumentError(
        fmt::format("report: expected audits alone, found {} runs, {} of them audits", files.size(), audits.size()));
  }
  return audits.empty() ? of_runs(those<RunFiles>(files)) : of_audits(audits);
}

}  // namespace

std::string page_of(std::span<const ReportFiles> files) {
  return of_kind(files, comparison_page, audit_page,
                 [](const std::vector<RunFiles>& runs) { return report_page(runs); });
}

std::string picture_of(std::span<const ReportFiles> files, const std::string& chart) {
  const auto picture = [&](const auto& of) { return picture_of_chart(of, chart); };
  return of_kind(files, picture, picture, picture);
}

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
