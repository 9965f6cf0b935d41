// The page of training runs: whether they trained, and how far each came.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "slopewise/report/format.hpp"
#include "slopewise/report/overlay.hpp"
#include "slopewise/report/page.hpp"
#include "slopewise/report/results.hpp"
#include "slopewise/report/run_tables.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

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

// The run of the least test error among those that `belongs` says; none where none has a test error.
template <class Belongs>
std::optional<std::size_t> best_of(std::span<const RunFiles> runs, Belongs belongs) {
  std::optional<std::size_t> best;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const double error = number(runs[r].results, "test_error");
    if (std::isnan(error) || !belongs(runs[r])) continue;
    if (!best || error < number(runs[*best].results, "test_error")) best = r;
  }
  return best;
}

std::string error_of(const RunFiles& run) {
  return percent(number(run.results, "test_error"));
}

// "in 1000 steps and 2.5 s", as far as they are known
std::string effort(const Json& results) {
  const double steps = number(results, "steps"), seconds = number(results, "seconds");
  std::string words;
  if (!std::isnan(steps)) words += " in " + format_count(steps, "step");
  if (!std::isnan(seconds)) words += fmt::format("{} {}", words.empty() ? " in" : " and", format_seconds(seconds));
  return words;
}

// The loss of the first step and of the end; NaN where it was not recorded.
std::pair<double, double> losses(const RunFiles& run) {
  double first = std::numeric_limits<double>::quiet_NaN(), last = first;
  for (const Json& step : run.metrics) {
    const double loss = number(step, "loss");
    if (std::isnan(loss)) continue;
    if (std::isnan(first)) first = loss;
    last = loss;
  }
  const double end = number(run.results, "train_loss");
  return {first, std::isnan(end) ? last : end};
}

bool has_trained(const RunFiles& run) {
  const auto [first, last] = losses(run);
  return text(run.results, "status") != "diverged" && !(last >= first);
}

struct Headline {
  std::string question, answer;
};

// Beside backprop the question is who comes further, else whether training worked.
Headline headline(std::span<const RunFiles> runs, const std::vector<std::string>& names) {
  const auto exact = best_of(runs, [](const RunFiles& run) { return run.is_backprop(); });
  const auto other = best_of(runs, [](const RunFiles& run) { return !run.is_backprop(); });
  if (exact && other) {
    const bool as_well = number(runs[*other].results, "test_error") <= number(runs[*exact].results, "test_error");
    return {"Does it train as well as backprop?",
            fmt::format("{}: the best other run, {}, came to a test error of {}{}, {} to {}{}.", as_well ? "Yes" : "No",
                        names[*other], error_of(runs[*other]), effort(runs[*other].results), names[*exact],
                        error_of(runs[*exact]), effort(runs[*exact].results))};
  }
  const auto trained = std::count_if(runs.begin(), runs.end(), has_trained);
  const auto best = best_of(runs, [](const RunFiles&) { return true; });
  const std::size_t shown = best.value_or(0);
  const RunFiles& run = runs[shown];
  const auto [first, last] = losses(run);
  std::string reached = best ? fmt::format("came to a test error of {}{}", error_of(run), effort(run.results))
                             : fmt::format("ended{}, with no test error", effort(run.results));
  if (!std::isnan(first)) reached += fmt::format(", its loss from {} to {}", format_number(first), format_number(last));
  if (runs.size() == 1) {
    return {"Did it train?", fmt::format("{}: {} {}.", trained > 0 ? "Yes" : "No", names.front(), reached)};
  }
  const auto count = static_cast<std::ptrdiff_t>(runs.size());
  return {"Did they train?", fmt::format("{}: best of {} runs, {} {}.",
                                         trained == count ? "Yes"
                                         : trained == 0   ? "No"
                                                          : fmt::format("{} of them did not", count - trained),
                                         count, names[shown], reached)};
}

}  // namespace

std::vector<Figures::Figure> training_charts(std::span<const RunFiles> runs) {
  return overlay_charts(runs, names(runs));
}

std::string training_page(std::span<const RunFiles> runs) {
  const std::vector<std::string> run_names = names(runs);
  const Headline head = headline(runs, run_names);
  return overlay_page({.runs = runs,
                       .names = run_names,
                       .title = runs.size() == 1 ? run_names.front() : fmt::format("{} training runs", runs.size()),
                       .question = head.question,
                       .answer = head.answer,
                       .table = runs_table(runs, run_names)});
}

}  // namespace slopewise
