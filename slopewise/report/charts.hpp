// The charts of report.html: Vega-Lite specifications in slopewise/report/charts, one file a chart.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slopewise {

// Numbers and words under named columns, every row a JSON list as long as they are many.
struct ChartData {
  std::vector<std::string> columns;
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();

  // Whether any row has something other than null in that column.
  bool has(std::string_view column) const;
};

// The data of that name; nothing where the results hold none.
using DataSource = std::function<std::optional<ChartData>(const std::string& name)>;

// The charts of what a source holds. A chart says in its `usermeta` what it is `of`, and which columns of its first
// data it `needs` if not all are sure to be there; of its other data none need be. Its `description` is the caption,
// and its data are named.
class Figures {
 public:
  struct Figure {
    std::string name;
    nlohmann::ordered_json spec;
    // name: {"columns", "titles" of the columns for people, "rows"}
    nlohmann::ordered_json data = nlohmann::ordered_json::object();
  };

  // `runs`: the values of the column "run" in order, so that a run has one colour in all charts.
  explicit Figures(DataSource source, std::vector<std::string> runs = {})
      : source_(std::move(source)), runs_(std::move(runs)) {}

  // The charts of that subject whose data are there; else those of "*", with the subject in place of the "*" in their
  // data's names.
  std::vector<Figure> find(const std::string& subject) const;

  // Figures as HTML; "" where there is none, or the program was built without Vega-Lite. A figure may be shown once.
  std::string html(std::span<const Figure> figures);
  // What the figures in HTML draw, each once however many draw it; it goes to the end of the page.
  std::string data_html() const;
  bool empty() const { return drawn_.empty(); }

 private:
  std::vector<Figure> find(const std::string& kind, const std::string& subject) const;

  void colour_runs(Figure& figure) const;

  DataSource source_;
  std::vector<std::string> runs_;
  nlohmann::ordered_json drawn_ = nlohmann::ordered_json::object();
};

// The charts there are, by name; a study has one more for each claim without a chart of its own.
std::vector<std::string> chart_names();

// A program for node that writes the figure as SVG to standard output.
std::string picture_program(const Figures::Figure& figure);

// Whether the program holds what draws charts.
bool can_draw_charts();

}  // namespace slopewise
