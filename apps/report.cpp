// slopewise report: the page of a study, of a comparison, of audits or of training runs, made from what they left.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/arguments.hpp"
#include "apps/bench/child.hpp"
#include "apps/bench/temporary_directory.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/report/page.hpp"

namespace slopewise {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string out;    // empty: report.html in the first run's directory
  std::string chart;  // empty: the whole page
  bool quiet = false;
};

// The SVG that the program writes to standard output. Throws Error where node is missing or fails.
std::string run_node(const std::string& program) {
  if (!can_draw_charts()) throw Error("report: --chart: this program was built without npm, so it cannot draw");
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "chart.cjs";
  write_text(file, program);
  Child node({"node", file.string()}, {});
  std::string svg;
  while (const std::optional<std::string> line = node.receive("drawing")) svg += *line + "\n";
  if (!svg.starts_with("<svg")) throw Error("report: --chart: node, which draws it, failed: it wrote no picture");
  return svg;
}

// The page, or the program that draws the one chart that was asked for.
std::string made(const ReportOptions& options) {
  std::vector<ReportFiles> files;
  for (const std::string& directory : options.runs) files.push_back(read_report_files(directory));
  return options.chart.empty() ? page_of(files) : picture_of(files, options.chart);
}

int run(const ReportOptions& options) {
  const std::vector<std::string> extensions =
      options.chart.empty() ? std::vector<std::string>{".html", ".htm"} : std::vector<std::string>{".svg"};
  if (!options.out.empty()) require_extension("--out", options.out, extensions);
  const std::string text = made(options);
  if (!options.chart.empty()) {
    const std::string svg = run_node(text);
    if (options.out.empty()) {
      std::cout << svg;
    } else {
      write_text(options.out, svg);
    }
    return 0;
  }
  const std::filesystem::path out = options.out.empty() ? std::filesystem::path(options.runs.front()) / "report.html"
                                                        : std::filesystem::path(options.out);
  write_text(out, text);
  if (!options.quiet) std::cout << fmt::format("Charts: {}\n", out.string());
  return 0;
}

}  // namespace

Verb report_verb() {
  const auto options = std::make_shared<ReportOptions>();
  Verb verb{
      .settings = Settings("report"),
      .summary = "Show a study, a comparison, audits, or training runs over one another as one HTML file with charts"};
  Settings& settings = verb.settings;
  settings.add("runs", options->runs, text("RUN"),
               "Directory of a study or of a comparison, or directories of training runs or of audits",
               {.positional = true, .required = true});
  settings.add("out", options->out, text("FILE"), "File to write",
               {.letter = 'o', .otherwise = "report.html in the first RUN; of a chart, standard output"});
  settings.add("chart", options->chart, text_like("NAME", chart_names()), "Write this chart alone, as SVG; needs node",
               {.otherwise = "all, as a page"});
  settings.flag("quiet", options->quiet, "Print nothing but errors", {.letter = 'q'});
  verb.examples = {"slopewise report runs/study", "slopewise report runs/local runs/backprop --out comparison.html",
                   "slopewise report runs/compare", "slopewise report runs/study --chart snr-scaling --out snr.svg"};
  verb.run = [options](Settings&) { return run(*options); };
  return verb;
}

}  // namespace slopewise
