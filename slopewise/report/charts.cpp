#include "slopewise/report/charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "slopewise/report/html.hpp"
#include "slopewise/report/notation.hpp"
#include "slopewise/report/resources.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

struct Chart {
  std::string name;
  Json spec;
};

std::vector<Chart> read_charts() {
  constexpr std::string_view kDirectory = "charts/", kEnding = ".vl.json";
  std::vector<Chart> charts;
  for (const Resource& file : resources()) {
    if (!file.name.starts_with(kDirectory)) continue;
    const std::size_t length = file.name.size() - kDirectory.size() - kEnding.size();
    charts.push_back({std::string(file.name.substr(kDirectory.size(), length)), Json::parse(file.text)});
  }
  return charts;
}

// Calls visit with every named data reference, in order.
void visit_data(Json& spec, const std::function<void(std::string& name)>& visit) {
  if (!spec.is_structured()) return;
  if (spec.is_object() && spec.contains("data") && spec["data"].is_object() && spec["data"].contains("name")) {
    visit(spec["data"]["name"].get_ref<std::string&>());
  }
  for (Json& part : spec) visit_data(part, visit);
}

// Calls visit with every definition of a channel that takes its value from that column.
void visit_channels(Json& spec, std::string_view column, const std::function<void(Json& channel)>& visit) {
  if (!spec.is_structured()) return;
  if (spec.is_object() && spec.contains("field") && spec["field"] == column) visit(spec);
  for (Json& part : spec) visit_channels(part, column, visit);
}

Json titles_of(const std::vector<std::string>& columns) {
  Json titles = Json::array();
  for (const std::string& column : columns) titles.push_back(column_title(column));
  return titles;
}

}  // namespace

bool ChartData::has(std::string_view column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  if (found == columns.end()) return false;
  const auto at = static_cast<std::size_t>(found - columns.begin());
  return std::any_of(rows.begin(), rows.end(), [at](const Json& row) { return !row[at].is_null(); });
}

std::vector<std::string> chart_names() {
  std::vector<std::string> names;
  for (const Chart& chart : read_charts()) {
    if (chart.spec["usermeta"]["of"] != "*") names.push_back(chart.name);
  }
  return names;
}

bool can_draw_charts() {
  return !resource("web/vega.js").empty();
}

std::vector<Figures::Figure> Figures::find(const std::string& subject) const {
  std::vector<Figure> own = find(subject, subject);
  return own.empty() ? find("*", subject) : own;
}

std::vector<Figures::Figure> Figures::find(const std::string& kind, const std::string& subject) const {
  static const std::vector<Chart> charts = read_charts();
  std::vector<Figure> found;
  for (const Chart& chart : charts) {
    const Json& meta = chart.spec["usermeta"];
    if (meta["of"] != kind) continue;
    Figure figure{.name = kind == "*" ? subject : chart.name, .spec = chart.spec};
    bool complete = true;
    visit_data(figure.spec, [&](std::string& name) {
      if (const std::size_t star = name.find('*'); star != std::string::npos) name.replace(star, 1, subject);
      std::optional<ChartData> data = source_(name);
      complete = complete && data && (!data->rows.empty() || !figure.data.empty());
      for (const Json& column : figure.data.empty() ? meta.value("needs", Json::array()) : Json::array()) {
        complete = complete && data->has(column.get<std::string>());
      }
      if (!complete) return;
      figure.data[name] = {
          {"columns", data->columns}, {"titles", titles_of(data->columns)}, {"rows", std::move(data->rows)}};
    });
    if (!complete) continue;
    colour_runs(figure);
    found.push_back(std::move(figure));
  }
  return found;
}

// Every run has its place in the palette, and those that the figure shows are in its legend.
void Figures::colour_runs(Figure& figure) const {
  if (runs_.empty()) return;
  std::set<std::string> shown;
  for (const Json& table : figure.data) {
    const Json& columns = table["columns"];
    const auto run = std::find(columns.begin(), columns.end(), "run");
    if (run == columns.end()) continue;
    for (const Json& row : table["rows"]) shown.insert(row[run - columns.begin()].get<std::string>());
  }
  Json entries = Json::array();
  for (const std::string& run : runs_) {
    if (shown.contains(run)) entries.push_back(run);
  }
  visit_channels(figure.spec, "run", [&](Json& channel) {
    channel["scale"]["domain"] = runs_;
    channel["legend"]["values"] = entries;
  });
}

std::string Figures::html(std::span<const Figure> figures) {
  std::string html;
  if (!can_draw_charts()) return html;
  for (const Figure& figure : figures) {
    for (const auto& [name, table] : figure.data.items()) {
      if (!drawn_.contains(name)) drawn_[name] = table;
    }
    const std::string name = escape_html(figure.name);
    html += fmt::format(
        "<figure class=\"chart\" id=\"chart-{}\" data-name=\"{}\">\n<div class=\"drawing\"></div>\n"
        "<figcaption>{}<span class=\"links\"></span></figcaption>\n"
        "<script type=\"application/json\" class=\"spec\">{}</script>\n</figure>\n",
        name, name, escape_html(figure.spec["description"].get<std::string>()), escape_script(figure.spec.dump()));
  }
  return html;
}

std::string Figures::data_html() const {
  if (drawn_.empty()) return "";
  return fmt::format("<script type=\"application/json\" id=\"data\">{}</script>\n",
                     escape_script(drawn_.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

std::string picture_program(const Figures::Figure& figure) {
  // Vega's bundle looks for a module system and, finding none, puts its parts into the global object.
  return fmt::format(
      "(function(exports, module, define, require) {{\n{}\n}}).call(globalThis);\n{}\n{}\nconst spec = {};\nconst "
      "tables = "
      "{};\n{}",
      resource("web/vega.js"), resource("web/theme.js"), resource("web/prepare.js"), figure.spec.dump(),
      figure.data.dump(), resource("web/picture.js"));
}

}  // namespace slopewise
