// report.html: one self-contained page that shows a study, training runs over one another, a comparison, or audits.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "slopewise/report/charts.hpp"
#include "slopewise/report/run_files.hpp"

namespace slopewise {

// The page of one study or of any number of training runs. Throws ArgumentError for another mixture, and FileError,
// naming the directory, for results that lack what their schema promises.
std::string report_page(std::span<const RunFiles> runs);
// That of a comparison. Throws FileError as above.
std::string comparison_page(const ComparisonFiles& comparison);

// That of audits, beside one another. Throws FileError as above, ArgumentError for none.
std::string audit_page(std::span<const AuditFiles> audits);

// That of whatever these are: one comparison, audits, one study, or training runs. Throws likewise, ArgumentError for
// another mixture.
std::string page_of(std::span<const ReportFiles> files);

// The pages that it chooses from.
std::string study_page(const RunFiles& run);
std::string training_page(std::span<const RunFiles> runs);

// A program for node that writes one of the page's charts as SVG to standard output. Throws as report_page does, and
// ArgumentError, listing the charts that the runs have, for another name.
std::string picture_of_chart(std::span<const RunFiles> runs, const std::string& chart);
std::string picture_of_chart(const ComparisonFiles& comparison, const std::string& chart);
std::string picture_of_chart(std::span<const AuditFiles> audits, const std::string& chart);
std::string picture_of(std::span<const ReportFiles> files, const std::string& chart);
std::string picture_among(std::span<const Figures::Figure> charts, const std::string& chart);

// The page's charts, without HTML.
std::vector<Figures::Figure> study_charts(const RunFiles& run);
std::vector<Figures::Figure> training_charts(std::span<const RunFiles> runs);

}  // namespace slopewise
