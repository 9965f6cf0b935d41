// The page of a study: the note's question, the answer, the claims, and a section with charts and data for each.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "slopewise/report/charts.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/html.hpp"
#include "slopewise/report/page.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no NaN: null stands for it.
double number(const Json& value) {
  return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

std::string text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
}

// A row of `first` and the first `count` cells of another row.
Json in_front(const Json& first, const Json& row, std::size_t count = std::numeric_limits<std::size_t>::max()) {
  Json cells = Json::array({first});
  for (std::size_t c = 0; c < std::min(count, row.size()); ++c) cells.push_back(row[c]);
  return cells;
}

ChartData series_data(const Json& series) {
  ChartData data{.columns = series.at("columns").get<std::vector<std::string>>(), .rows = series.at("rows")};
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

const Json* find_claim(const Json& claims, std::string_view id) {
  for (const Json& claim : claims) {
    if (claim.at("id") == id && claim.at("measured").is_number()) return &claim;
  }
  return nullptr;
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

// The least and the largest ratio of wall times to backprop's in a series of the crossover claim; least > largest where
// there is none.
std::pair<double, double> wall_time_ratios(const Json& crossover, const char* series) {
  const ChartData times = find_data(Json::array({crossover}), series).value_or(ChartData{});
  const auto column = std::find(times.columns.begin(), times.columns.end(), "wall-time ratio");
  double least = std::numeric_limits<double>::infinity(), most = 0;
  if (column == times.columns.end()) return {least, most};
  for (const Json& row : times.rows) {
    const double ratio = number(row[static_cast<std::size_t>(column - times.columns.begin())]);
    least = std::min(least, ratio);
    most = std::max(most, ratio);
  }
  return {least, most};
}

// "training with it takes 5 to 12 times as long as backprop to half the initial loss, with a learned prior 1 to 2
// times".
std::string lateness(const Json& crossover) {
  const auto [least, most] = wall_time_ratios(crossover, "crossover/time to half the initial loss");
  if (least > most) return "";
  const auto [remedied_least, remedied_most] = wall_time_ratios(crossover, "crossover/with a learned prior");
  return fmt::format(
      "training with it takes {:.2g} to {:.2g} times as long as backprop to half the initial loss{}", least, most,
      remedied_least > remedied_most
          ? ""
          : fmt::format(" ({:.2g} to {:.2g} times with a learned prior)", remedied_least, remedied_most));
}

// One sentence, made from what was measured.
std::string answer(const Json& results) {
  const Json& claims = results.at("claims");
  std::vector<std::string> parts;
  if (const Json* alignment = find_claim(claims, "alignment")) {
    parts.push_back(fmt::format("at {} parameters the mean cosine of a forward gradient with the gradient is {}",
                                format_number(number(results.at("parameters"))),
                                format_number(number(alignment->at("measured")))));
  }
  const Json* scaling = find_claim(claims, "snr-scaling");
  if (scaling) {
    parts.push_back(
        fmt::format("its signal-to-noise ratio goes as n to the power {:.3f}", number(scaling->at("measured"))));
  }
  if (const Json* crossover = find_claim(claims, "crossover")) {
    if (const std::string late = lateness(*crossover); !late.empty()) parts.push_back(late);
  }
  const auto count = [&](std::string_view verdict) {
    return std::count_if(claims.begin(), claims.end(),
                         [&](const Json& claim) { return claim.at("verdict") == verdict; });
  };
  parts.push_back(fmt::format("{} of the {} claims measured hold{}{}", count("holds"), claims.size(),
                              count("differs") > 0 ? fmt::format(", {} under a condition", count("differs")) : "",
                              count("fails") > 0 ? fmt::format(", {} not at all", count("fails")) : "") +
                  (count("undecided") > 0 ? fmt::format(", {} undecided", count("undecided")) : ""));
  std::string sentence = !scaling                            ? ""
                         : scaling->at("verdict") == "holds" ? "As noisy as the note says: "
                                                             : "Not as the note says: ";
  for (std::size_t i = 0; i < parts.size(); ++i) {
    sentence += (i == 0 ? "" : i + 1 == parts.size() ? "; " : ", ") + parts[i];
  }
  sentence.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(sentence.front())));
  return sentence + ".";
}

std::string claims_table(const Json& claims) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& claim : claims) {
    const std::string id = escape_html(text(claim.at("id")));
    rows.push_back({fmt::format("<a href=\"#{}\">{}</a>", id, escape_html(text(claim.at("statement")))),
                    predicted_text(claim), format_number(number(claim.at("measured"))),
                    format_interval(number(claim.at("low")), number(claim.at("high"))),
                    verdict_mark(text(claim.at("verdict")))});
  }
  return html_table("The claims, each with its prediction, its measurement and the verdict", "claims cards",
                    {"claim", "predicted", "measured", "interval", "verdict"}, rows);
}

std::string data_table(const Json& claim, const Json& series, bool open) {
  const ChartData data = series_data(series);
  std::vector<std::vector<std::string>> rows;
  for (const Json& row : data.rows) {
    std::vector<std::string>& cells = rows.emplace_back();
    for (const Json& cell : row)
      cells.push_back(escape_html(cell.is_number() ? format_number(number(cell)) : text(cell)));
  }
  const std::string name = text(series.at("name"));
  return fmt::format(
      "<details{}><summary>Data: {} ({} rows)</summary><div class=\"scroll\" tabindex=\"0\">{}</div></details>\n",
      open ? " open" : "", escape_html(name), rows.size(),
      html_table(text(claim.at("id")) + ": " + name, "data", data.columns, rows));
}

std::string section(const Json& claim, Figures& figures) {
  const std::string id = text(claim.at("id"));
  const std::string equation = text(claim.at("equation"));
  std::string html = fmt::format(
      "<section id=\"{}\">\n<h2>{} {}</h2>\n<p>{}{}: predicted {}, measured {}, interval {}.</p>\n", escape_html(id),
      escape_html(text(claim.at("statement"))), verdict_mark(text(claim.at("verdict"))),
      equation.empty() ? "" : fmt::format("Equation {} of the note. ", escape_html(equation)),
      escape_html(text(claim.at("quantity"))), predicted_text(claim), format_number(number(claim.at("measured"))),
      format_interval(number(claim.at("low")), number(claim.at("high"))));
  if (const std::string condition = text(claim.at("condition")); !condition.empty()) {
    html += fmt::format("<p class=\"condition\">{}</p>\n", escape_html(condition));
  }
  const std::string drawn = figures.html(id);
  html += drawn;
  for (const Json& series : claim.at("series")) html += data_table(claim, series, drawn.empty());
  return html + "</section>\n";
}

std::string reproduction(const Json& results) {
  std::vector<std::pair<std::string, std::string>> facts = {
      {"command", text(results.value("command", Json()))},
      {"slopewise", text(results.at("version"))},
      {"seed", text(results.at("seed"))},
      {"data", text(results.at("data"))},
      {"network", text(results.at("model"))},
      {"batch", text(results.at("batch"))},
      {"confidence of intervals", fmt::format("{} %", 100 * number(results.at("confidence")))}};
  const Json machine = results.value("machine", Json::object());
  for (const auto& [key, value] : machine.items()) {
    if (key != "slopewise") facts.emplace_back(key, text(value));
  }
  facts.emplace_back("schema", text(results.at("schema")));
  return "<section id=\"reproduce\">\n<h2>To reproduce it</h2>\n" + html_facts(facts) + "</section>\n";
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
  std::string sections;
  for (const Json& claim : claims) sections += section(claim, figures);

  std::string body = fmt::format(
      "<header>\n<p class=\"run\">{}, {} parameters, {}, batch {}{}</p>\n"
      "<h1>Are forward gradients too noisy to train with?</h1>\n<p class=\"answer\">{}</p>\n</header>\n<main>\n"
      "<section id=\"claims\">\n<h2>What the note says, measured</h2>\n{}"
      "<p class=\"source\">The claims of “Unfavorable SNR in Forward Gradients” (Frye 2022) and what follows from "
      "it.</p>\n"
      "</section>\n",
      escape_html(text(results.at("model"))), format_number(number(results.at("parameters"))),
      escape_html(text(results.at("data"))), text(results.at("batch")),
      results.at("quick") == true ? ", a quick run with a tenth of the samples" : "", escape_html(answer(results)),
      claims_table(claims));
  if (!can_draw_charts()) {
    body +=
        "<p class=\"note\">This program was built without npm and so without Vega-Lite: tables stand in for "
        "charts.</p>\n";
  }
  body += "<noscript><p class=\"note\">Charts need JavaScript. The tables below hold their data.</p></noscript>\n";
  body += sections + reproduction(results) + "</main>\n" + figures.data_html();
  return html_page("Slopewise study", body, !figures.empty());
}

}  // namespace slopewise
