#include "slopewise/report/run_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <set>

#include "slopewise/report/format.hpp"
#include "slopewise/report/html.hpp"
#include "slopewise/report/page_parts.hpp"
#include "slopewise/report/results.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNothing = "–";

struct Column {
  const char* title;
  std::function<std::string(const Json& results)> cell;
};

std::string or_none(double value, const std::function<std::string(double)>& format) {
  return std::isnan(value) ? kNothing : format(value);
}

const std::vector<Column>& columns() {
  const auto words = [](const char* key) {
    return [key](const Json& results) {
      const std::string word = text(results, key);
      return word.empty() ? kNothing : escape_html(word);
    };
  };
  const auto figure = [](const char* key, std::function<std::string(double)> format) {
    return [key, format = std::move(format)](const Json& results) { return or_none(number(results, key), format); };
  };
  const auto bytes = [](double count) { return format_bytes(static_cast<std::int64_t>(count)); };
  static const std::vector<Column> all = {
      {"method", words("method")},
      {"parameters", figure("parameters", format_number)},
      {"steps", figure("steps", format_number)},
      {"time", figure("seconds", format_seconds)},
      {"training loss", figure("train_loss", format_number)},
      {"test loss", figure("test_loss", format_number)},
      {"test error", figure("test_error", percent)},
      {"to 97 %", figure("seconds_to_97", format_seconds)},
      {"to 98 %", figure("seconds_to_98", format_seconds)},
      {"peak memory", figure("peak_bytes", bytes)},
      {"status", words("status")},
  };
  return all;
}

// What a run was told, by the option's name; nothing for an option it does not know.
std::optional<std::string> option(const RunFiles& run, const std::string& name) {
  const Json config = run.results.value("config", Json::object());
  if (!config.contains(name)) return std::nullopt;
  return setting_text(config.at(name));
}

}  // namespace

std::string percent(double share) {
  return std::isnan(share) ? kNothing : fmt::format("{:.2f} %", 100 * share);
}

std::string runs_table(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  std::vector<std::string> header{"run"};
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : names) rows.push_back({escape_html(name)});
  for (const Column& column : columns()) {
    std::vector<std::string> cells;
    for (const RunFiles& run : runs) cells.push_back(column.cell(run.results));
    if (std::all_of(cells.begin(), cells.end(), [](const std::string& cell) { return cell == kNothing; })) continue;
    header.emplace_back(column.title);
    for (std::size_t r = 0; r < rows.size(); ++r) rows[r].push_back(cells[r]);
  }
  return html_table("How far each run came", "cards runs", header, rows);
}

std::string options_table(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  if (runs.size() < 2) return "";
  std::vector<std::string> order;  // of the options, as the runs name them
  std::set<std::string> known;
  for (const RunFiles& run : runs) {
    const Json config = run.results.value("config", Json::object());
    for (const auto& entry : config.items()) {
      // Where a run was written to differs always.
      if (entry.key() != "out" && known.insert(entry.key()).second) order.push_back(entry.key());
    }
  }
  std::vector<std::vector<std::string>> differ;
  Facts shared;
  for (const std::string& name : order) {
    const std::optional<std::string> first = option(runs.front(), name);
    if (std::all_of(runs.begin(), runs.end(), [&](const RunFiles& run) { return option(run, name) == first; })) {
      shared.emplace_back(name, *first);
      continue;
    }
    std::vector<std::string>& row = differ.emplace_back(std::vector{escape_html(name)});
    for (const RunFiles& run : runs) {
      const std::string value = option(run, name).value_or("");
      row.push_back(value.empty() ? kNothing : escape_html(value));
    }
  }
  std::vector<std::string> header{"option"};
  header.insert(header.end(), names.begin(), names.end());
  std::string html = "<section id=\"options\">\n<h2>Options that differ</h2>\n";
  html += differ.empty() ? "<p>None.</p>\n"
                         : fmt::format("<div class=\"scroll\" tabindex=\"0\">{}</div>\n",
                                       html_table("Options that differ", "data", header, differ));
  if (!shared.empty()) {
    html += fmt::format("<details><summary>Options that all runs share ({})</summary>{}</details>\n", shared.size(),
                        html_facts(shared));
  }
  return html + "</section>\n";
}

}  // namespace slopewise
