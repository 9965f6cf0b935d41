// `slopewise evaluate`: how good a trained network is on data.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/trained.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/terminal.hpp"
#include "slopewise/report/text.hpp"
#include "slopewise/statistics/intervals.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kConfidence = 0.95;
constexpr std::size_t kMostClassRows = 40;

struct EvaluateOptions {
  TrainedOptions trained;
  bool json = false;
};

std::string class_name(const Dataset& set, std::size_t label) {
  return set.class_names.empty() ? std::to_string(label) : set.class_names[label];
}

// Examples of one class, and how many were answered by it, in all and rightly.
struct ClassCounts {
  Index examples = 0, answered = 0, right = 0;
};

std::vector<ClassCounts> class_counts(const Dataset& set, const Judgement& judgement) {
  const auto classes = static_cast<std::size_t>(set.classes);
  std::vector<ClassCounts> counts(judgement.confusion().empty() ? 0 : classes);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    for (std::size_t j = 0; j < classes; ++j) {
      const Index count = judgement.confusion()[i * classes + j];
      counts[i].examples += count;
      counts[j].answered += count;
      if (i == j) counts[i].right += count;
    }
  }
  return counts;
}

Json ratio(Index part, Index whole) {
  return whole > 0 ? Json(static_cast<double>(part) / static_cast<double>(whole)) : Json(nullptr);
}

Json document_of(const TrainedNetwork& network, const Dataset& set, const Judgement& judgement,
                 const TrainedOptions& options) {
  Json document{{"schema", "slopewise.evaluate/1"},
                {"weights", network.path().string()},
                {"data", set.name},
                {"set", options.set},
                {"examples", set.count()},
                {"parameters", network.parameters()},
                {"loss", judgement.evaluation().loss}};
  if (set.outputs == 0 && set.classes == 0) return document;
  if (set.outputs > 0) {
    for (std::size_t k = 0; k < static_cast<std::size_t>(set.outputs); ++k) {
      document["outputs"].push_back({{"mean_squared_error", judgement.squared_error(k)},
                                     {"root_mean_squared_error", std::sqrt(judgement.squared_error(k))},
                                     {"r2", judgement.r_squared(k)}});
    }
    return document;
  }
  const Interval interval = proportion_interval(judgement.count() - judgement.wrong(), judgement.count(), kConfidence);
  document["labels"] = judgement.count();
  document["wrong"] = judgement.wrong();
  document["accuracy"] = ratio(judgement.count() - judgement.wrong(), judgement.count());
  document["accuracy_interval"] = {interval.low, interval.high};
  document["confidence"] = kConfidence;
  Json classes = Json::array();
  const std::vector<ClassCounts> counts = class_counts(set, judgement);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    classes.push_back({{"class", class_name(set, i)},
                       {"examples", counts[i].examples},
                       {"answered", counts[i].answered},
                       {"right", counts[i].right},
                       {"recall", ratio(counts[i].right, counts[i].examples)},
                       {"precision", ratio(counts[i].right, counts[i].answered)}});
  }
  document["classes"] = std::move(classes);
  document["confusion"] = judgement.confusion();
  return document;
}

std::string tables_of(const TrainedNetwork& network, const Dataset& set, const Judgement& judgement, int width) {
  Table table({"figure", "value"});
  table.add_row({"examples", std::to_string(set.count())});
  if (set.label_shape.size() > 1) table.add_row({"labels", std::to_string(judgement.count())});
  table.add_row({"loss", format_number(judgement.evaluation().loss)});
  const auto percent = [](double share) { return fmt::format("{:.2f} %", 100 * share); };
  if (set.outputs > 0) {
    for (std::size_t k = 0; k < static_cast<std::size_t>(set.outputs); ++k) {
      const std::string of = set.outputs > 1 ? fmt::format(" of output {}", k + 1) : "";
      table.add_row({"mean squared error" + of, format_number(judgement.squared_error(k))});
      table.add_row({"root mean squared error" + of, format_number(std::sqrt(judgement.squared_error(k)))});
      table.add_row({"R²" + of, format_number(judgement.r_squared(k))});
    }
  } else if (set.classes > 0) {
    const Index right = judgement.count() - judgement.wrong();
    const Interval interval = proportion_interval(right, judgement.count(), kConfidence);
    table.add_row({"accuracy", percent(static_cast<double>(right) / static_cast<double>(judgement.count()))});
    table.add_row({"its 95 % interval", fmt::format("{} to {}", percent(interval.low), percent(interval.high))});
  }
  table.add_row({"parameters", format_number(static_cast<double>(network.parameters()))});
  std::string text = table.to_string(width);
  const std::vector<ClassCounts> counts = class_counts(set, judgement);
  if (counts.empty()) return text;
  // Of many classes, those of the most examples.
  std::vector<std::size_t> shown(counts.size());
  std::iota(shown.begin(), shown.end(), std::size_t{0});
  if (shown.size() > kMostClassRows) {
    std::ranges::stable_sort(shown, std::greater(), [&](std::size_t i) { return counts[i].examples; });
    shown.resize(kMostClassRows);
  }
  Table classes({"class", "examples", "right", "recall", "precision"});
  for (const std::size_t i : shown) {
    const auto share = [&](Index whole) {
      return whole > 0 ? percent(static_cast<double>(counts[i].right) / static_cast<double>(whole)) : std::string("–");
    };
    classes.add_row({class_name(set, i), std::to_string(counts[i].examples), std::to_string(counts[i].right),
                     share(counts[i].examples), share(counts[i].answered)});
  }
  text += "\n" + classes.to_string(width);
  if (counts.size() > kMostClassRows)
    text += fmt::format("and {} more; --json lists all\n", counts.size() - kMostClassRows);
  return text;
}

int evaluate(const EvaluateOptions& options, const Settings& given) {
  apply(options.trained.run_options);
  const TrainedNetwork network = open_network(options.trained, given);
  const Dataset set = data_for(network, options.trained, given, /*labels_needed=*/true);
  Judgement judgement(set);
  network.run(set, [&](std::span<const Index> rows, double loss, std::span<const float> outputs) {
    check_interrupted("evaluating");
    judgement.add(rows, loss, outputs);
  });
  if (options.json) {
    std::cout
        << document_of(network, set, judgement, options.trained).dump(2, ' ', false, Json::error_handler_t::replace)
        << '\n';
    return 0;
  }
  std::cout << fmt::format("{} on {} ({})\n\n", printable(network.path().string()), printable(set.name),
                           options.trained.set)
            << tables_of(network, set, judgement, is_terminal(1) ? terminal_width(1) : 0);
  return 0;
}

}  // namespace

Verb evaluate_verb() {
  const auto options = std::make_shared<EvaluateOptions>();
  Verb verb{.settings = Settings("evaluate"), .summary = "Say how good a trained network is on data"};
  add_trained_options(verb.settings, options->trained);
  verb.settings.flag("json", options->json, "Print the figures as JSON, with the confusion matrix");
  verb.examples = {"slopewise evaluate runs/train", "slopewise evaluate runs/train --data more.csv --label species",
                   "slopewise evaluate weights.safetensors --data mnist --json"};
  verb.run = [options](Settings& given) { return evaluate(*options, given); };
  return verb;
}

}  // namespace slopewise
