// The page of a study: the note's question, the answer, the claims, and a section with charts and data for each.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/report/charts.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/html.hpp"
#include "slopewise/report/notation.hpp"
#include "slopewise/report/page.hpp"
#include "slopewise/report/page_parts.hpp"
#include "slopewise/report/results.hpp"
#include "slopewise/report/study_answer.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

// A row of `first` and the first `count` cells of another row.
Json in_front(const Json& first, const Json& row, std::size_t count = std::numeric_limits<std::size_t>::max()) {
  Json cells = Json::array({first});
  for (std::size_t c = 0; c < std::min(count, row.size()); ++c) cells.push_back(row[c]);
  return cells;
}

ChartData series_data(const Json& series) {
  ChartData data{.columns = series.at("columns").get<std::vector<std::string>>(), .rows = series.at("rows")};
  for (const Json& row : data.rows) {
    if (!row.is_array() || row.size() != data.columns.size()) {
      throw FileError(fmt::format("results.json: series {}: expected rows of {} numbers, found {:.80}",
                                  series.at("name").dump(), data.columns.size(), row.dump()));
    }
  }
  if (!series.contains("labels")) return data;
  data.columns.insert(data.columns.begin(), "label");
  for (std::size_t i = 0; i < data.rows.size(); ++i) data.rows[i] = in_front(series["labels"].at(i), data.rows[i]);
  return data;
}

// All series of a claim under one another, as far as they share columns, with their names in front.
ChartData joined_data(const Json& claim) {
  ChartData joined;
  for (const Json& series : claim.at("series")) {
    const ChartData data = series_data(series);
    if (joined.columns.empty()) {
      joined.columns = data.columns;
      joined.columns.insert(joined.columns.begin(), "series");
    }
    const std::size_t shared = std::min(joined.columns.size() - 1, data.columns.size());
    for (const Json& row : data.rows) {
      joined.rows.push_back(in_front(series.at("name"), row, shared));
    }
  }
  return joined;
}

// What a claim predicts. Schema 1 had numbers alone, and null stands for an end that is infinite.
std::pair<double, double> predicted_range(const Json& claim) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (claim.at("predicted").is_number() || !claim.contains("predicted_low")) {
    return {number(claim.at("predicted")), number(claim.at("predicted"))};
  }
  const Json &low = claim["predicted_low"], &high = claim["predicted_high"];
  if (low.is_null() && high.is_null()) return {number(low), number(high)};
  return {low.is_null() ? -kInfinite : number(low), high.is_null() ? kInfinite : number(high)};
}

std::string predicted_text(const Json& claim) {
  const auto [low, high] = predicted_range(claim);
  return format_range(low, high);
}

Json finite(double x) {
  return std::isfinite(x) ? Json(x) : Json();
}

// "ID/SERIES" is a series, "ID" all of them, "ID/figures" the claim's prediction and measurement.
std::optional<ChartData> find_data(const Json& claims, const std::string& name) {
  for (const Json& claim : claims) {
    const std::string id = claim.at("id").get<std::string>();
    if (name == id) return joined_data(claim);
    if (name == id + "/figures" && claim.at("measured").is_number()) {
      const auto [low, high] = predicted_range(claim);
      return ChartData{
          .columns = {"quantity", "predicted", "predicted_low", "predicted_high", "measured", "low", "high"},
          .rows = Json::array({Json::array({claim.at("quantity"), claim.at("predicted"), finite(low), finite(high),
                                            claim.at("measured"), claim.at("low"), claim.at("high")})})};
    }
    for (const Json& series : claim.at("series")) {
      if (name == id + "/" + text(series.at("name"))) return series_data(series);
    }
  }
  return std::nullopt;
}

// What the network could not be asked, and why. Older files do not say.
std::string left_out_list(const Json& results) {
  const Json left_out = results.value("left_out", Json::array());
  if (left_out.empty()) return "";
  std::string html = fmt::format("<p>Not asked of {}:</p>\n<ul>\n", escape_html(text(results.at("model"))));
  for (const Json& each : left_out) {
    html += fmt::format("<li>{}: {}.</li>\n", escape_html(notation(text(each.at("statement")))),
                        escape_html(notation(text(each.at("reason")))));
  }
  return html + "</ul>\n";
}

std::string verdict_mark(const std::string& verdict) {
  const char* sign = verdict == "holds"       ? "✓"
                     : verdict == "fails"     ? "✗"
                     : verdict == "differs"   ? "≠"
                     : verdict == "undecided" ? "?"
                                              : "–";
  return fmt::format("<span class=\"verdict {0}\"><span aria-hidden=\"true\">{1}</span> {0}</span>",
                     escape_html(verdict), sign);
}

std::string claims_table(const Json& claims) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& claim : claims) {
    const std::string id = escape_html(text(claim.at("id")));
    rows.push_back({fmt::format("<a href=\"#{}\">{}</a>", id, escape_html(notation(text(claim.at("statement"))))),
                    predicted_text(claim), format_number(number(claim.at("measured"))),
                    format_interval(number(claim.at("low")), number(claim.at("high"))),
                    verdict_mark(text(claim.at("verdict")))});
  }
  return html_table("The claims, each with its prediction, its measurement and the verdict", "claims cards",
                    {"claim", "predicted", "measured", "interval", "verdict"}, rows);
}

// `drawn_above`: the chart that the head of the page shows, "" for none.
std::string section(const Json& claim, const std::string& drawn_above, Figures& figures) {
  const std::string id = text(claim.at("id"));
  const std::string equation = text(claim.at("equation"));
  std::string html = fmt::format(
      "<section id=\"{}\">\n<h2>{} {}</h2>\n<p>{}{}: predicted {}, measured {}, interval {}.</p>\n", escape_html(id),
      escape_html(notation(text(claim.at("statement")))), verdict_mark(text(claim.at("verdict"))),
      equation.empty() ? "" : fmt::format("Equation {} of the note. ", escape_html(equation)),
      escape_html(notation(text(claim.at("quantity")))), predicted_text(claim),
      format_number(number(claim.at("measured"))), format_interval(number(claim.at("low")), number(claim.at("high"))));
  if (const std::string condition = text(claim.at("condition")); !condition.empty()) {
    html += fmt::format("<p class=\"condition\">{}</p>\n", escape_html(notation(condition)));
  }
  std::vector<Figures::Figure> charts = figures.find(id);
  const auto removed = std::erase_if(charts, [&](const Figures::Figure& chart) { return chart.name == drawn_above; });
  const std::string drawn = figures.html(charts);
  html += drawn;
  if (removed > 0 && can_draw_charts())
    html += "<p><a href=\"#answer\">Its chart is at the head of the page.</a></p>\n";
  for (const Json& series : claim.at("series")) {
    html += data_table_html(id + ": " + text(series.at("name")), series_data(series), drawn.empty());
  }
  return html + "</section>\n";
}

// The chart that shows the answer: training times where they were measured, else the first of the claims'.
std::vector<Figures::Figure> first_chart(const Json& claims, const Figures& figures) {
  std::vector<std::string> ids{"crossover", "snr-scaling"};
  for (const Json& claim : claims) ids.push_back(text(claim.at("id")));
  for (const std::string& id : ids) {
    std::vector<Figures::Figure> charts = figures.find(id);
    if (charts.empty()) continue;
    charts.resize(1);
    return charts;
  }
  return {};
}

Facts facts_of(const Json& results) {
  Facts facts = {{"command", text(results, "command")},
                 {"slopewise", text(results.at("version"))},
                 {"seed", text(results.at("seed"))},
                 {"data", text(results.at("data"))},
                 {"network", text(results.at("model"))},
                 {"batch", text(results.at("batch"))},
                 {"confidence of intervals", fmt::format("{} %", 100 * number(results.at("confidence")))}};
  add_machine(facts, results);
  facts.emplace_back("schema", text(results.at("schema")));
  return facts;
}

Figures study_figures(const RunFiles& run) {
  return Figures([&](const std::string& name) { return find_data(run.results.at("claims"), name); });
}

}  // namespace

std::vector<Figures::Figure> study_charts(const RunFiles& run) {
  std::vector<Figures::Figure> charts;
  for (const Json& claim : run.results.at("claims")) {
    for (Figures::Figure& figure : study_figures(run).find(text(claim.at("id")))) charts.push_back(std::move(figure));
  }
  return charts;
}

std::string study_page(const RunFiles& run) {
  const Json& results = run.results;
  const Json& claims = results.at("claims");
  Figures figures = study_figures(run);
  const std::vector<Figures::Figure> first = first_chart(claims, figures);
  std::string body = fmt::format(
      "<header id=\"answer\">\n<p class=\"run\">{}, {} parameters, {}, batch {}{}</p>\n"
      "<h1>Are forward gradients too noisy to train with?</h1>\n<p class=\"answer\">{}</p>\n{}{}</header>\n<main>\n"
      "<section id=\"claims\">\n<h2>What the note says, measured</h2>\n<p>{}.</p>\n{}{}"
      "<p class=\"source\">The claims of “Unfavorable SNR in Forward Gradients” (Frye 2022) and what follows from "
      "it.</p>\n"
      "</section>\n",
      escape_html(text(results.at("model"))), format_number(number(results.at("parameters"))),
      escape_html(text(results.at("data"))), text(results.at("batch")),
      results.at("quick") == true ? ", a quick run with a tenth of the samples" : "",
      escape_html(study_answer(results)), definition_html(), figures.html(first), count_of_verdicts(claims),
      claims_table(claims), left_out_list(results));
  body += chart_notes_html();
  for (const Json& claim : claims) body += section(claim, first.empty() ? "" : first.front().name, figures);
  body += glossary_html() + reproduction_html({{"", facts_of(results)}}) + "</main>\n" + figures.data_html();
  return html_page("Slopewise study", body, !figures.empty());
}

}  // namespace slopewise
