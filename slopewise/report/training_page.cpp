// The page of training runs: how far each came, and its curves over those of the others.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "slopewise/report/charts.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/html.hpp"
#include "slopewise/report/page.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// Points of one run's line; of longer runs every so-manyth step is drawn.
constexpr std::size_t kMostPoints = 300;

double number(const Json& object, const std::string& key) {
  const Json value = object.value(key, Json());
  return value.is_number() ? value.get<double>() : kNone;
}

std::string text(const Json& object, const std::string& key) {
  const Json value = object.value(key, Json());
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
}

std::string or_none(double value, std::string (*format)(double)) {
  return std::isnan(value) ? "–" : format(value);
}

std::string percent(double share) {
  return fmt::format("{:.2f} %", 100 * share);
}

// What a run is called on the page; its directory tells apart runs of one name.
std::vector<std::string> names(std::span<const RunFiles> runs) {
  std::map<std::string, int> count;
  for (const RunFiles& run : runs) ++count[text(run.results, "name")];
  std::vector<std::string> result;
  for (const RunFiles& run : runs) {
    const std::string name = text(run.results, "name");
    result.push_back(count[name] == 1 && !name.empty() ? name : fmt::format("{} ({})", name, run.directory.string()));
  }
  return result;
}

// One row an object, with the run's name in front; a missing field is null.
void append(ChartData& data, const std::string& run, const Json& object) {
  Json row = Json::array({run});
  for (std::size_t c = 1; c < data.columns.size(); ++c) row.push_back(object.value(data.columns[c], Json()));
  data.rows.push_back(std::move(row));
}

ChartData curve(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  ChartData data{.columns = {"run", "step", "epoch", "seconds", "train_loss", "test_loss", "test_error"}};
  for (std::size_t r = 0; r < runs.size(); ++r) {
    for (const Json& point : runs[r].results.value("curve", Json::array())) append(data, names[r], point);
  }
  return data;
}

// Calls visit with the run's name and the steps that are drawn.
template <class Visit>
void visit_steps(std::span<const RunFiles> runs, const std::vector<std::string>& names, Visit visit) {
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const std::size_t stride = runs[r].metrics.size() / kMostPoints + 1;
    for (std::size_t i = 0; i < runs[r].metrics.size(); i += stride) visit(names[r], runs[r].metrics[i]);
  }
}

ChartData metrics(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  ChartData data{.columns = {"run", "step", "epoch", "seconds", "loss", "rate", "step_ms", "slope_rms", "gradient_norm",
                             "gradient_norm_low", "gradient_norm_high", "snr", "tangent_share", "minibatch_share",
                             "cosine"}};
  visit_steps(runs, names, [&](const std::string& run, const Json& step) { append(data, run, step); });
  return data;
}

ChartData residual(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  ChartData data{.columns = {"run", "step", "layer", "residual"}};
  visit_steps(runs, names, [&](const std::string& run, const Json& step) {
    const Json layers = step.value("residual", Json::object());
    for (const auto& [layer, share] : layers.items()) {
      data.rows.push_back(Json::array({run, step.value("step", Json()), layer, share}));
    }
  });
  return data;
}

std::string runs_table(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const Json& results = runs[r].results;
    const double bytes = number(results, "peak_bytes");
    rows.push_back(
        {escape_html(names[r]), escape_html(text(results, "method")),
         or_none(number(results, "parameters"), format_number), or_none(number(results, "steps"), format_number),
         or_none(number(results, "seconds"), format_seconds), or_none(number(results, "train_loss"), format_number),
         or_none(number(results, "test_loss"), format_number), or_none(number(results, "test_error"), percent),
         or_none(number(results, "seconds_to_97"), format_seconds),
         or_none(number(results, "seconds_to_98"), format_seconds),
         std::isnan(bytes) ? "–" : format_bytes(static_cast<std::int64_t>(bytes)),
         escape_html(text(results, "status"))});
  }
  return html_table("How far each run came", "cards",
                    {"run", "method", "parameters", "steps", "time", "training loss", "test loss", "test error",
                     "to 97 %", "to 98 %", "peak memory", "status"},
                    rows);
}

std::string data_table(const std::string& name, const ChartData& data, bool open) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& row : data.rows) {
    std::vector<std::string>& cells = rows.emplace_back();
    for (const Json& cell : row) {
      cells.push_back(cell.is_number()   ? format_number(cell.get<double>())
                      : cell.is_string() ? escape_html(cell.get<std::string>())
                                         : "");
    }
  }
  return fmt::format(
      "<details{}><summary>Data: {} ({} rows)</summary><div class=\"scroll\" tabindex=\"0\">{}</div></details>\n",
      open ? " open" : "", escape_html(name), rows.size(), html_table(name, "data", data.columns, rows));
}

// The run of the least test error, in one sentence.
std::string answer(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  std::size_t best = 0;
  for (std::size_t r = 1; r < runs.size(); ++r) {
    if (!(number(runs[best].results, "test_error") <= number(runs[r].results, "test_error"))) best = r;
  }
  const Json& results = runs[best].results;
  return fmt::format("{}{} came to a test error of {} in {} steps and {}.",
                     runs.size() > 1 ? fmt::format("Best of {} runs: ", runs.size()) : "", names[best],
                     or_none(number(results, "test_error"), percent), or_none(number(results, "steps"), format_number),
                     or_none(number(results, "seconds"), format_seconds));
}

std::string reproduction(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  std::string html = "<section id=\"reproduce\">\n<h2>To reproduce it</h2>\n";
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const Json& results = runs[r].results;
    std::vector<std::pair<std::string, std::string>> facts = {{"command", text(results, "command")},
                                                              {"slopewise", text(results, "version")},
                                                              {"seed", text(results, "seed")},
                                                              {"directory", runs[r].directory.string()}};
    for (const char* part : {"config", "machine"}) {
      const Json object = results.value(part, Json::object());
      for (const auto& entry : object.items()) {
        if (entry.key() != "slopewise") facts.emplace_back(entry.key(), text(object, entry.key()));
      }
    }
    facts.emplace_back("schema", text(results, "schema"));
    html += fmt::format("<h3>{}</h3>\n{}", escape_html(names[r]), html_facts(facts));
  }
  return html + "</section>\n";
}

Figures training_figures(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  const std::map<std::string, ChartData> data = {
      {"curve", curve(runs, names)}, {"metrics", metrics(runs, names)}, {"residual", residual(runs, names)}};
  return Figures([data](const std::string& name) -> std::optional<ChartData> {
    const auto found = data.find(name);
    return found == data.end() ? std::nullopt : std::optional(found->second);
  });
}

}  // namespace

std::vector<Figures::Figure> training_charts(std::span<const RunFiles> runs) {
  return training_figures(runs, names(runs)).find("training");
}

std::string training_page(std::span<const RunFiles> runs) {
  const std::vector<std::string> run_names = names(runs);
  Figures figures = training_figures(runs, run_names);
  const std::string drawn = figures.html("training");
  const std::string title = runs.size() == 1 ? run_names.front() : fmt::format("{} training runs", runs.size());
  std::string body = fmt::format(
      "<header>\n<h1>{}</h1>\n<p class=\"answer\">{}</p>\n</header>\n<main>\n<section id=\"runs\">\n<h2>How far each "
      "run "
      "came</h2>\n<div class=\"scroll\" tabindex=\"0\">{}</div></section>\n",
      escape_html(title), escape_html(answer(runs, run_names)), runs_table(runs, run_names));
  if (!can_draw_charts()) {
    body +=
        "<p class=\"note\">This program was built without npm and so without Vega-Lite: tables stand in for "
        "charts.</p>\n";
  }
  body += "<noscript><p class=\"note\">Charts need JavaScript. The table below holds the curves.</p></noscript>\n";
  body += fmt::format("<section id=\"curves\">\n<h2>Curves</h2>\n<div class=\"charts\">\n{}</div>\n{}</section>\n",
                      drawn, data_table("curve", curve(runs, run_names), drawn.empty()));
  body += reproduction(runs, run_names) + "</main>\n" + figures.data_html();
  return html_page("Slopewise: " + title, body, !figures.empty());
}

}  // namespace slopewise
