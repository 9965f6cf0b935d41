// slopewise report: the page of a study or of training runs, made from what they left.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>

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

// What the program writes to standard output. Throws Error where node is missing or fails.
std::string run_node(const std::string& program) {
  if (!can_draw_charts()) throw Error("report: --chart: this program was built without npm, so it cannot draw");
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / fmt::format("slopewise-{}.cjs", ::getpid());
  write_text(file, program);
  std::string output;
  FILE* const pipe = ::popen(fmt::format("node '{}'", file.string()).c_str(), "r");
  if (pipe) {
    char buffer[1 << 16];
    while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, size);
  }
  const int status = pipe ? ::pclose(pipe) : -1;
  std::filesystem::remove(file);
  if (status != 0) throw Error("report: --chart: node, which draws it, could not be run");
  return output;
}

int run(const ReportOptions& options) {
  std::vector<RunFiles> runs;
  for (const std::string& directory : options.runs) runs.push_back(read_run(directory));
  if (!options.chart.empty()) {
    const std::string svg = run_node(picture_of_chart(runs, options.chart));
    if (options.out.empty()) {
      std::cout << svg;
    } else {
      write_text(options.out, svg);
    }
    return 0;
  }
  const std::filesystem::path out = options.out.empty() ? std::filesystem::path(options.runs.front()) / "report.html"
                                                        : std::filesystem::path(options.out);
  write_text(out, report_page(runs));
  if (!options.quiet) std::cout << fmt::format("Charts: {}\n", out.string());
  return 0;
}

}  // namespace

Verb add_report(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("report", "Show a study, or training runs beside one another, as one HTML file with charts");
  const auto options = std::make_shared<ReportOptions>();
  command->add_option("RUN", options->runs, "Directory of a study, or directories of training runs")
      ->required()
      ->type_name("DIR...");
  command
      ->add_option("--out", options->out, "File to write [report.html in the first RUN; of a chart, standard output]")
      ->type_name("FILE");
  command->add_option("--chart", options->chart, "Write this chart alone, as SVG; needs node [all, as a page]")
      ->type_name("NAME");
  command->add_flag("-q,--quiet", options->quiet, "Print nothing but errors");
  command->footer(
      "Examples:\n"
      "  slopewise report runs/study\n"
      "  slopewise report runs/local runs/backprop --out comparison.html\n"
      "  slopewise report runs/study --chart snr-scaling --out snr.svg");
  return {command, [options] { return run(*options); }};
}

}  // namespace slopewise
