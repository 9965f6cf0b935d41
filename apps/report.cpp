// slopewise report: the page of a study or of training runs, made from what they left.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "apps/verb.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/report/page.hpp"

namespace slopewise {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string out;  // empty: report.html in the first run's directory
  bool quiet = false;
};

int run(const Options& options) {
  std::vector<RunFiles> runs;
  for (const std::string& directory : options.runs) runs.push_back(read_run(directory));
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
  const auto options = std::make_shared<Options>();
  command->add_option("RUN", options->runs, "Directory of a study, or directories of training runs")
      ->required()
      ->type_name("DIR...");
  command->add_option("--out", options->out, "File to write [report.html in the first RUN]")->type_name("FILE");
  command->add_flag("-q,--quiet", options->quiet, "Print nothing but errors");
  command->footer(
      "Examples:\n"
      "  slopewise report runs/study\n"
      "  slopewise report runs/local runs/backprop --out comparison.html");
  return {command, [options] { return run(*options); }};
}

}  // namespace slopewise
