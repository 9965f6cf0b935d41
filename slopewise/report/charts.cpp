#include "slopewise/report/charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "slopewise/report/html.hpp"
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

}  // namespace

bool ChartData::has(std::string_view column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  if (found == columns.end()) return false;
  const auto at = static_cast<std::size_t>(found - columns.begin());
  return std::any_of(rows.begin(), rows.end(), [at](const Json& row) { return !row[at].is_null(); });
}

bool can_draw_charts() {
  return !resource("web/vega.js").empty();
}

std::string Figures::html(const std::string& subject) {
  if (!can_draw_charts()) return "";
  const std::string own = charts_of(subject, subject);
  return own.empty() ? charts_of("*", subject) : own;
}

std::string Figures::charts_of(const std::string& kind, const std::string& subject) {
  static const std::vector<Chart> charts = read_charts();
  std::string html;
  for (const Chart& chart : charts) {
    const Json& meta = chart.spec["usermeta"];
    if (meta["of"] != kind) continue;
    Json spec = chart.spec;
    std::map<std::string, ChartData> data;
    bool complete = true;
    visit_data(spec, [&](std::string& name) {
      if (const std::size_t star = name.find('*'); star != std::string::npos) name.replace(star, 1, subject);
      std::optional<ChartData> found = source_(name);
      complete = complete && found && !found->rows.empty();
      for (const Json& column : data.empty() ? meta.value("needs", Json::array()) : Json::array()) {
        complete = complete && found->has(column.get<std::string>());
      }
      if (complete) data.emplace(name, std::move(*found));
    });
    if (!complete) continue;
    for (auto& [name, table] : data) {
      if (!drawn_.contains(name)) drawn_[name] = {{"columns", table.columns}, {"rows", std::move(table.rows)}};
    }
    const std::string title = spec.value("title", chart.name);
    const std::string name = kind == "*" ? subject : chart.name;
    html += fmt::format(
        "<figure class=\"chart\" id=\"chart-{}\" data-name=\"{}\">\n<div class=\"drawing\"></div>\n"
        "<figcaption>{}<span class=\"links\"></span></figcaption>\n"
        "<script type=\"application/json\" class=\"spec\">{}</script>\n</figure>\n",
        escape_html(name), escape_html(name), escape_html(spec.value("description", title)),
        escape_script(spec.dump()));
  }
  return html;
}

std::string Figures::data_html() const {
  if (drawn_.empty()) return "";
  return fmt::format("<script type=\"application/json\" id=\"data\">{}</script>\n",
                     escape_script(drawn_.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

}  // namespace slopewise
