#include "slopewise/report/overlay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "slopewise/report/html.hpp"
#include "slopewise/report/page_parts.hpp"
#include "slopewise/report/results.hpp"
#include "slopewise/report/run_tables.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

// Points of one run's line; of longer runs every so-manyth step is drawn.
constexpr std::size_t kMostPoints = 300;

// One row an object, with the run's name in front; a missing field is null.
void append(ChartData& data, const std::string& run, const Json& object) {
  Json row = Json::array({run});
  for (std::size_t c = 1; c < data.columns.size(); ++c) row.push_back(object.value(data.columns[c], Json()));
  data.rows.push_back(std::move(row));
}

// Whether a forward pass is the same work in all runs, of which there are several: of one it says no more than steps.
bool share_a_pass(std::span<const RunFiles> runs) {
  const auto of = [](const RunFiles& run, const char* option) {
    return run.results.value("config", Json::object()).value(option, Json());
  };
  return runs.size() > 1 && std::ranges::all_of(runs, [&](const RunFiles& run) {
           return std::ranges::all_of(std::array{"batch", "model", "hidden", "channels"},
                                      [&](const char* option) { return of(run, option) == of(runs.front(), option); });
         });
}

// The row with the work up to its step, where that of a step is known.
Json with_work(Json row, double forwards_a_step) {
  const double forwards = forwards_a_step * number(row, "step");
  if (!std::isnan(forwards)) row["forwards"] = forwards;
  return row;
}
// Forward passes that each run's steps are worth; NaN where they are not known or not compared.
std::vector<double> forwards_a_step(std::span<const RunFiles> runs) {
  std::vector<double> found(runs.size(), std::nan(""));
  if (share_a_pass(runs)) {
    std::ranges::transform(runs, found.begin(),
                           [](const RunFiles& run) { return number(run.results, "forwards_per_step"); });
  }
  return found;
}

ChartData curve(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  ChartData data{.columns = {"run", "step", "epoch", "seconds", "forwards", "train_loss", "test_loss", "test_error"}};
  const std::vector<double> forwards = forwards_a_step(runs);
  for (std::size_t r = 0; r < runs.size(); ++r) {
    for (const Json& point : runs[r].results.value("curve", Json::array()))
      append(data, names[r], with_work(point, forwards[r]));
  }
  return data;
}

// Calls visit with the run's number and the steps that are drawn.
template <class Visit>
void visit_steps(std::span<const RunFiles> runs, Visit visit) {
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const std::size_t stride = runs[r].metrics.size() / kMostPoints + 1;
    for (std::size_t i = 0; i < runs[r].metrics.size(); i += stride) visit(r, runs[r].metrics[i]);
  }
}

ChartData metrics(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  ChartData data{.columns = {"run", "step", "epoch", "seconds", "forwards", "loss", "rate", "step_ms", "slope_rms",
                             "gradient_norm", "gradient_norm_low", "gradient_norm_high", "snr", "tangent_share",
                             "minibatch_share", "cosine"}};
  const std::vector<double> forwards = forwards_a_step(runs);
  visit_steps(runs,
              [&](std::size_t run, const Json& step) { append(data, names[run], with_work(step, forwards[run])); });
  return data;
}

ChartData residual(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  ChartData data{.columns = {"run", "step", "layer", "residual"}};
  visit_steps(runs, [&](std::size_t run, const Json& step) {
    const Json layers = step.value("residual", Json::object());
    for (const auto& [layer, share] : layers.items()) {
      data.rows.push_back(Json::array({names[run], step.value("step", Json()), layer, share}));
    }
  });
  return data;
}

// One list for each run, with its options where it is alone: those of several stand in a table. What all runs were made
// with is said once.
std::vector<std::pair<std::string, Facts>> facts_of(std::span<const RunFiles> runs,
                                                    const std::vector<std::string>& names) {
  std::vector<std::pair<std::string, Facts>> lists;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const Json& results = runs[r].results;
    Facts facts = {{"command", text(results, "command")},
                   {"slopewise", text(results, "version")},
                   {"seed", text(results, "seed")},
                   {"directory", runs[r].directory.string()}};
    if (runs.size() == 1) {
      const Json config = results.value("config", Json::object());
      for (const auto& [key, value] : config.items()) facts.emplace_back(key, setting_text(value));
    }
    if (r == 0 || results.value("machine", Json()) != runs[r - 1].results.value("machine", Json())) {
      add_machine(facts, results);
    }
    facts.emplace_back("schema", text(results, "schema"));
    lists.emplace_back(names[r], std::move(facts));
  }
  return lists;
}

Figures training_figures(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  const std::map<std::string, ChartData> data = {
      {"curve", curve(runs, names)}, {"metrics", metrics(runs, names)}, {"residual", residual(runs, names)}};
  return Figures(
      [data](const std::string& name) -> std::optional<ChartData> {
        const auto found = data.find(name);
        return found == data.end() ? std::nullopt : std::optional(found->second);
      },
      names);
}

// Moves the chart that the head of the page shows out of the others.
std::vector<Figures::Figure> take_first_chart(std::vector<Figures::Figure>& charts) {
  auto first = std::find_if(charts.begin(), charts.end(),
                            [](const Figures::Figure& chart) { return chart.name == "error-over-seconds"; });
  if (first == charts.end()) first = charts.begin();
  if (first == charts.end()) return {};
  std::vector<Figures::Figure> taken{std::move(*first)};
  charts.erase(first);
  return taken;
}

}  // namespace

std::vector<Figures::Figure> overlay_charts(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  return training_figures(runs, names).find("training");
}

std::string overlay_page(const Overlay& overlay) {
  Figures figures = training_figures(overlay.runs, overlay.names);
  std::vector<Figures::Figure> charts = figures.find("training");
  const std::vector<Figures::Figure> first = take_first_chart(charts);
  std::string body = fmt::format(
      "<header id=\"answer\">\n<p class=\"run\">{}</p>\n<h1>{}</h1>\n<p class=\"answer\">{}</p>\n{}{}</header>\n"
      "<main>\n<section id=\"runs\">\n<h2>How far each run came</h2>\n{}</section>\n",
      escape_html(overlay.title), escape_html(overlay.question), escape_html(overlay.answer), definition_html(),
      figures.html(first), overlay.table);
  body += options_table(overlay.runs, overlay.names) + chart_notes_html();
  const std::string drawn = figures.html(charts);
  body += fmt::format("<section id=\"curves\">\n<h2>Curves</h2>\n<div class=\"charts\">\n{}</div>\n{}</section>\n",
                      drawn, data_table_html("curve", curve(overlay.runs, overlay.names), figures.empty()));
  body +=
      glossary_html() + reproduction_html(facts_of(overlay.runs, overlay.names)) + "</main>\n" + figures.data_html();
  return html_page("Slopewise: " + overlay.title, body, !figures.empty());
}

}  // namespace slopewise
