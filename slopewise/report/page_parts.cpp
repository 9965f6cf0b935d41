#include "slopewise/report/page_parts.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

#include "slopewise/report/format.hpp"
#include "slopewise/report/html.hpp"
#include "slopewise/report/notation.hpp"
#include "slopewise/report/results.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

struct Term {
  std::string_view word, meaning;
};

constexpr Term kTerms[] = {
    {"gradient, ∇", "How the loss changes with each of the n parameters. ‖∇‖ is its length."},
    {"tangent, v", "A random direction in which all n parameters change at once, drawn anew for every estimate."},
    {"slope, s", "How fast the loss changes along a tangent: s = ∇·v, computed together with the loss."},
    {"forward gradient, g", "g = s·v, or the mean of several such. Its mean over all tangents is ∇."},
    {"backprop", "The usual way to ∇: a pass through the network and one back, which needs what the first one kept."},
    {"signal-to-noise ratio, SNR", "‖∇‖² over the variance of the estimate, summed over its entries."},
    {"cosine", "Of the angle between an estimate and ∇: 1 where they point the same way, 0 at right angles."},
    {"perturbed activities", "Tangents of what units put out, one for each example, instead of tangents of weights."},
    {"local losses", "Every block of layers is trained by a loss of its own."},
    {"prior",
     "A guess of the gradient. Only what it leaves over is estimated; a learned one is fitted to earlier slopes."},
    {"residual", "The share of the squared slopes that a prior leaves."},
    {"mini-batch gradient, ∇ₘ", "The gradient of the loss of some examples in place of all."},
    {"curvature, H", "The second derivatives of the loss; tr H is their sum over the axes, λ the largest eigenvalue."},
    {"interval", "The range that holds the true value, up to the stated share of runs."},
    {"test error", "The share of images never trained on that are classified wrongly."},
    {"loss", "Mean cross entropy, in nats; 2.3 for guesses among ten classes."},
};

// NaN, as null is written, leaves its cell empty.
std::string shown(const Json& cell) {
  const double figure = number(cell);
  return escape_html(!std::isnan(figure) ? format_number(figure) : cell.is_number() ? "" : text(cell));
}

}  // namespace

std::string definition_html() {
  return "<p class=\"definition\">A <dfn>forward gradient</dfn> is the slope of the loss along a random direction, "
         "times "
         "that direction: computed without a backward pass, right on average, and noisy.</p>\n";
}

std::string glossary_html() {
  std::string html = "<section id=\"glossary\">\n<h2>Glossary</h2>\n<dl class=\"terms\">\n";
  for (const Term& term : kTerms) html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", term.word, term.meaning);
  return html + "</dl>\n</section>\n";
}

std::string chart_notes_html() {
  std::string html;
  if (!can_draw_charts()) {
    html +=
        "<p class=\"note\">This program was built without npm and so without Vega-Lite: tables stand in for "
        "charts.</p>\n";
  }
  return html +
         "<noscript><p class=\"note\">Charts need JavaScript. The tables below hold their data.</p></noscript>\n";
}

std::string data_table_html(const std::string& name, const ChartData& data, bool open) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& row : data.rows) {
    std::vector<std::string>& cells = rows.emplace_back();
    for (const Json& cell : row) cells.push_back(shown(cell));
  }
  std::vector<std::string> titles;
  for (const std::string& column : data.columns) titles.push_back(column_title(column));
  return fmt::format(
      "<details{}><summary>Data: {} ({})</summary><div class=\"scroll\" tabindex=\"0\">{}</div></details>\n",
      open ? " open" : "", escape_html(name), format_count(static_cast<double>(rows.size()), "row"),
      html_table(name, "data", titles, rows));
}

std::string reproduction_html(const std::vector<std::pair<std::string, Facts>>& lists) {
  std::string html = "<section id=\"reproduce\">\n<h2>To reproduce it</h2>\n";
  for (const auto& [heading, facts] : lists) {
    if (lists.size() > 1) html += fmt::format("<h3>{}</h3>\n", escape_html(heading));
    html += html_facts(facts);
  }
  return html + "</section>\n";
}

void add_machine(Facts& facts, const Json& results) {
  const Json machine = results.value("machine", Json::object());
  for (const auto& [key, value] : machine.items()) {
    if (key != "slopewise") facts.emplace_back(key, setting_text(value));  // the version stands on its own
  }
}

}  // namespace slopewise
