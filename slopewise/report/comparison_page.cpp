// The page of a comparison: the ranking, and each row's first run over the others.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "slopewise/base/error.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/html.hpp"
#include "slopewise/report/overlay.hpp"
#include "slopewise/report/page.hpp"
#include "slopewise/report/results.hpp"
#include "slopewise/report/run_tables.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> names(const ComparisonFiles& comparison) {
  std::vector<std::string> names;
  for (const RunFiles& run : comparison.runs) names.push_back(text(run.results, "name"));
  return names;
}

std::string error_of(const Json& row) {
  const double error = number(row, "test_error"), spread = number(row, "spread");
  if (std::isnan(error) || std::isnan(spread)) return percent(error);
  return fmt::format("{:.2f} ± {:.2f} %", 100 * error, 100 * spread);
}

// The first row, of the least test error, that belongs; null where there is none.
const Json* best(const Json& rows, const std::function<bool(const Json&)>& belongs) {
  for (const Json& row : rows) {
    if (row.at("test_error").is_number() && belongs(row)) return &row;
  }
  return nullptr;
}

// Against backprop; controls tell what a result means and do not compete.
std::string answer(const ComparisonFiles& comparison) {
  const Json& rows = comparison.document.at("rows");
  const auto is_backprop = [&](const Json& row) {
    const auto run =
        std::ranges::find(comparison.runs, row.at("name"), [](const RunFiles& one) { return one.results.at("name"); });
    return run != comparison.runs.end() && run->is_backprop();
  };
  const auto competes = [](const Json& row) { return row.at("control") != true; };
  const Json* const exact = best(rows, [&](const Json& row) { return competes(row) && is_backprop(row); });
  const Json* const other = best(rows, [&](const Json& row) { return competes(row) && !is_backprop(row); });
  if (!exact || !other) return "Undecided: the comparison holds no test error of backprop, or none of another method.";
  const double behind = number(*other, "test_error") - number(*exact, "test_error");
  // Standard deviations of single runs; NaN where each row has one.
  const double spread = std::hypot(number(*other, "spread"), number(*exact, "spread"));
  const char* const verdict = behind <= 0 ? "Yes" : behind <= spread ? "Within the spread of the seeds" : "No";
  return fmt::format("{}: the best of the others, {}, came to a test error of {}, backprop to {}.", verdict,
                     text(other->at("name")), error_of(*other), error_of(*exact));
}

std::string shown(double value, std::string (*format)(double)) {
  return std::isnan(value) ? "–" : format(value);
}

std::string numbers(const Json& values) {
  std::vector<std::string> words;
  for (const Json& value : values) words.push_back(shown(number(value), format_number));
  return words.empty() ? "–" : fmt::format("{}", fmt::join(words, ", "));
}

std::string ranking(const Json& document) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& row : document.at("rows")) {
    const double bytes = number(row, "step_bytes");
    rows.push_back(
        {escape_html(text(row.at("name")) + (row.at("control") == true ? " (control)" : "")), error_of(row),
         shown(number(row, "seconds"), format_seconds), shown(number(row, "epochs"), format_number),
         shown(number(row, "step_ms") / 1e3, format_seconds), shown(number(row, "slopes"), format_number),
         std::isnan(bytes) ? "–" : format_bytes(static_cast<std::int64_t>(bytes)),
         numbers(row.value("cosine", Json::array())), numbers(row.value("snr", Json::array())),
         escape_html(row.value("rate", Json()).is_number() ? format_number(number(row, "rate")) : text(row, "rate")),
         escape_html(text(row, "note"))});
  }
  std::string html = html_table("The rows by their test error", "cards runs",
                                {"row", "test error", "time", "epochs", "a step", "slopes", "memory of a step",
                                 "cosine, from start to end", "SNR, from start to end", "rate", "note"},
                                rows);
  for (const Json& row : document.value("left_out", Json::array())) {
    html += fmt::format("<p class=\"note\">Left out: {}: {}</p>\n", escape_html(text(row, "name")),
                        escape_html(text(row, "why")));
  }
  return html;
}

std::string title(const Json& document) {
  const double seeds = number(document, "seeds");
  return fmt::format("{}, {}: {}, {}", text(document, "model"), text(document, "data"),
                     format_count(static_cast<double>(document.at("rows").size()), "row"),
                     seeds == 1 ? "of one seed"
                                : fmt::format("means of {}; curves and options are those of the first seed",
                                              format_count(seeds, "seed")));
}

// Calls make; results that lack what their schema promises become a FileError.
template <class Make>
auto checked(const ComparisonFiles& comparison, Make make) {
  try {
    return make();
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("{}: expected a comparison as documented, found something else: {}",
                                comparison.directory.string(), error.what()));
  }
}

}  // namespace

std::string comparison_page(const ComparisonFiles& comparison) {
  return checked(comparison, [&] {
    const Json& document = comparison.document;
    return overlay_page({.runs = comparison.runs,
                         .names = names(comparison),
                         .title = title(document),
                         .question = "Does any method train as well as backprop?",
                         .answer = answer(comparison),
                         .table = ranking(document)});
  });
}

std::string picture_of_chart(const ComparisonFiles& comparison, const std::string& chart) {
  return checked(comparison, [&] { return picture_among(overlay_charts(comparison.runs, names(comparison)), chart); });
}

}  // namespace slopewise
