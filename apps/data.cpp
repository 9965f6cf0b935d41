// `slopewise data`: what a data set holds, and well-known ones from the web.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>

#include "apps/arguments.hpp"
#include "apps/data/fetch.hpp"
#include "apps/data/split.hpp"
#include "apps/picture.hpp"
#include "apps/verb.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/terminal.hpp"
#include "slopewise/report/text.hpp"

namespace slopewise {
namespace {

constexpr int kMostLabelRows = 40;
constexpr std::int64_t kBarColumns = 20;

struct ShowOptions {
  DataOptions data;
  std::uint64_t seed = 1;
  std::int64_t samples = 6;
  bool json = false;
};

// Of one set, numbers as the networks see them.
struct SetSummary {
  std::vector<double> mean, deviation;  // per channel or column; the deviation is that of the population
  std::vector<std::int64_t> labels;     // how many examples of each class
};

SetSummary summarize(const Dataset& set) {
  constexpr std::int64_t kNumbersAtOnce = 1 << 18;
  const auto channels = static_cast<std::size_t>(set.image_shape[-1]);
  const std::int64_t size = set.image_shape.size(), rows = std::max<std::int64_t>(1, kNumbersAtOnce / size);
  std::vector<double> numbers, squares(channels);
  SetSummary summary{.mean = std::vector<double>(channels), .deviation = {}, .labels = {}};
  double count = 0;
  std::vector<std::int64_t> indices;
  for (std::int64_t first = 0; first < set.count(); first += rows) {
    indices.resize(static_cast<std::size_t>(std::min(rows, set.count() - first)));
    std::iota(indices.begin(), indices.end(), first);
    numbers.resize(indices.size() * static_cast<std::size_t>(size));
    gather_inputs<double>(set, indices, numbers);
    for (std::size_t i = 0; i < numbers.size(); i += channels) {
      ++count;
      for (std::size_t c = 0; c < channels; ++c) {
        const double before = numbers[i + c] - summary.mean[c];
        summary.mean[c] += before / count;
        squares[c] += before * (numbers[i + c] - summary.mean[c]);
      }
    }
  }
  for (const double sum : squares) summary.deviation.push_back(std::sqrt(sum / count));
  summary.labels.resize(static_cast<std::size_t>(set.classes));
  for (const std::int32_t label : set.labels) ++summary.labels[label];
  return summary;
}

// The first image of each class, by class, then the second of each, and so on.
std::vector<std::int64_t> choose_samples(const Dataset& set, std::int64_t count) {
  std::vector<std::int32_t> labels = set.labels;
  labels.resize(static_cast<std::size_t>(set.count()));  // numbers to predict are no classes
  std::vector<std::int64_t> seen(static_cast<std::size_t>(std::max(set.classes, 1)));
  std::vector<std::int64_t> rank;
  for (const std::int32_t label : labels) rank.push_back(seen[label]++);
  std::vector<std::int64_t> order(labels.size());
  std::iota(order.begin(), order.end(), 0);
  const auto chosen = order.begin() + std::min(count, set.count());
  std::partial_sort(order.begin(), chosen, order.end(), [&](std::int64_t a, std::int64_t b) {
    return std::tuple(rank[a], labels[a], a) < std::tuple(rank[b], labels[b], b);
  });
  order.erase(chosen, order.end());
  return order;
}

nlohmann::ordered_json to_json(const Dataset& set, const SetSummary& summary) {
  nlohmann::ordered_json json = {
      {"images", set.count()}, {"mean", summary.mean}, {"std", summary.deviation}, {"labels", summary.labels}};
  return json;
}

std::string label_table(const Dataset& set, const SetSummary& train, const SetSummary& test, int width) {
  if (set.outputs > 0) {
    Table table({"number to predict", "mean", "std"});
    for (std::size_t k = 0; k < set.target_mean.size(); ++k) {
      table.add_row({std::to_string(k + 1), format_number(set.target_mean[k]), format_number(set.target_deviation[k])});
    }
    return table.to_string(width);
  }
  const bool named = !set.class_names.empty();
  std::vector<std::string> header = {"label", "train", "test", ""};
  if (named) header.insert(header.begin() + 1, "class");
  Table table(header);
  const std::int64_t most = *std::ranges::max_element(train.labels);
  for (int label = 0; label < std::min(set.classes, kMostLabelRows); ++label) {
    std::string bar;
    for (std::int64_t i = 0; i < train.labels[label] * kBarColumns / most; ++i) bar += "▪";
    std::vector<std::string> cells = {std::to_string(label), std::to_string(train.labels[label]),
                                      std::to_string(test.labels[label]), bar};
    if (named) cells.insert(cells.begin() + 1, set.class_names[label]);
    table.add_row(cells);
  }
  std::string text = table.to_string(width);
  if (set.classes > kMostLabelRows)
    text += fmt::format("and {} more; --json lists all\n", set.classes - kMostLabelRows);
  return text;
}

const char* scaling_name(const Dataset& set) {
  switch (set.scaling.rule) {
    case Scaling::Rule::kNone:
      return "none";
    case Scaling::Rule::kBytes:
      return "bytes";
    case Scaling::Rule::kStandard:
      break;
  }
  return "standard";
}

// "images (28, 28, 1), 10 classes; pixels 0 to 1".
std::string description(const Dataset& set) {
  const bool images = set.image_shape.rank() == 3;
  std::string text = images ? fmt::format("images {}", set.image_shape.to_string())
                            : "rows of " + format_count(static_cast<double>(set.image_shape.size()), "number");
  text += set.outputs > 0    ? fmt::format(", {} to predict", set.outputs)
          : set.classes == 1 ? ", 1 class"
                             : fmt::format(", {} classes", set.classes);
  text += set.scaling.rule == Scaling::Rule::kBytes      ? "; pixels 0 to 1"
          : set.scaling.rule == Scaling::Rule::kStandard ? "; less the training set's mean, over its deviation"
                                                         : "; numbers as they are";
  return text + (images && set.image_shape[2] > 1 ? ", by channel" : "");
}

// "−0.1307"; what rounds to zero has no sign.
std::string four_places(double number) {
  const std::string text = fmt::format("{:.4f}", std::abs(number));
  return number < 0 && text != "0.0000" ? fmt::format("{}{}", kMinus, text) : text;
}

// "0.1307", or of many columns the least and the largest.
std::string of_columns(const std::vector<double>& numbers) {
  if (numbers.size() <= 4) {
    std::vector<std::string> texts(numbers.size());
    std::ranges::transform(numbers, texts.begin(), four_places);
    return fmt::format("{}", fmt::join(texts, " "));
  }
  const auto [least, most] = std::ranges::minmax(numbers);
  return fmt::format("{} to {}", four_places(least), four_places(most));
}

int show(const ShowOptions& options) {
  const DataSplit split = load_data(options.data, options.seed);
  const SetSummary train = summarize(split.train), test = summarize(split.test);
  if (options.json) {
    nlohmann::ordered_json document = {{"schema", "slopewise.data/1"},
                                       {"name", split.train.name},
                                       {"format", split.format},
                                       {"image_shape", split.train.image_shape.extents()},
                                       {"classes", split.train.classes},
                                       {"class_names", split.train.class_names},
                                       {"outputs", split.train.outputs},
                                       {"columns", split.train.column_names},
                                       {"left_out", split.left_out},
                                       {"scaling", scaling_name(split.train)},
                                       {"target_mean", split.train.target_mean},
                                       {"target_std", split.train.target_deviation},
                                       {"train", to_json(split.train, train)},
                                       {"test", to_json(split.test, test)}};
    std::cout << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    return 0;
  }

  const int width = is_terminal(1) ? terminal_width(1) : 0;
  const bool images = split.train.image_shape.rank() == 3;
  Table sets({"set", images ? "images" : "rows", images ? "pixel mean" : "mean", "std"});
  for (const auto& [name, set, summary] : {std::tuple{"train", &split.train, &train}, {"test", &split.test, &test}}) {
    sets.add_row({name, std::to_string(set->count()), of_columns(summary->mean), of_columns(summary->deviation)});
  }
  std::cout << fmt::format("{}: {}, {}\n", printable(split.train.name), split.format, description(split.train));
  for (const std::string& what : split.left_out) std::cout << fmt::format("left out: {}\n", printable(what));
  std::cout << '\n' << sets.to_string(width) << '\n' << label_table(split.train, train, test, width);
  const std::vector<std::int64_t> samples =
      images ? choose_samples(split.train, options.samples) : std::vector<std::int64_t>();
  if (!samples.empty()) std::cout << '\n' << picture(split.train, samples, terminal_width(1), wants_colour(1));
  return 0;
}

}  // namespace

Verb data_verb() {
  const auto options = std::make_shared<ShowOptions>();
  const auto fetch_options = std::make_shared<FetchOptions>();
  Verb show_verb{.settings = Settings("show"),
                 .summary = "Say what a data set holds, and draw some of its training images"};
  add_data_options(show_verb.settings, options->data, {.positional = true});
  show_verb.settings.add("seed", options->seed, whole(0, INT64_MAX), "Seed of --test-share");
  show_verb.settings.add("samples", options->samples, whole(0, 10'000),
                         "Training images to draw, from each class in turn");
  show_verb.settings.flag("json", options->json, "Print the figures as JSON, for every label, and no images");
  show_verb.run = [options](Settings&) { return show(*options); };

  Verb fetch_verb{.settings = Settings("fetch"),
                  .summary = "Download a well-known data set and check it; what was begun goes on where it stopped"};
  fetch_verb.settings.add("name", fetch_options->name, text_like("NAME", fetchable_names()), "Data set",
                          {.positional = true, .required = true});
  fetch_verb.settings.add("out", fetch_options->out, text("DIR"), "Directory to write to",
                          {.letter = 'o', .otherwise = "NAME"});
  fetch_verb.settings.add("from", fetch_options->from, text("URL"), "Take the files from under this URL",
                          {.otherwise = "public mirrors"});
  fetch_verb.settings.add("sums", fetch_options->sums, text("FILE"), "SHA-256 sums to check, as sha256sum writes them",
                          {.otherwise = "built-in ones"});
  fetch_verb.settings.flag("quiet", fetch_options->quiet, "Show no progress", {.letter = 'q'});
  fetch_verb.run = [fetch_options](Settings&) { return fetch(*fetch_options); };

  const auto split_options = std::make_shared<SplitOptions>();
  Verb split_verb{.settings = Settings("split"),
                  .summary = "Hold one person's examples out of an .npz file, as a task of adapting to them"};
  split_verb.settings.add("file", split_options->file, text("FILE"), "Arrays of examples, .npz",
                          {.positional = true, .required = true});
  split_verb.settings.add("by", split_options->by, text("NAME"), "Array that says whose each example is",
                          {.required = true});
  split_verb.settings.add("held-out", split_options->held_out, whole(INT64_MIN, INT64_MAX), "Whose are held out",
                          {.required = true});
  split_verb.settings.add("shots", split_options->shots, whole(0, 1'000'000'000),
                          "Of those, train on so many of each class and test on the rest; 0: train on all others'");
  split_verb.settings.add("seed", split_options->seed, whole(0, INT64_MAX), "Seed of the shots");
  split_verb.settings.add("out", split_options->out, text("FILE"), "The .npz file to write",
                          {.letter = 'o', .required = true});
  split_verb.run = [split_options](Settings&) { return split(*split_options); };

  Verb verb{.settings = Settings("data"), .summary = "Look at data sets, fetch well-known ones, and split them"};
  verb.verbs = {std::move(show_verb), std::move(fetch_verb), std::move(split_verb)};
  verb.examples = {"slopewise data show",
                   "slopewise data show cifar-10-batches-bin --samples 20",
                   "slopewise data show mnist.npz --json",
                   "slopewise data show iris.csv --label species --test-share 0.2",
                   "slopewise data fetch mnist --out data/mnist",
                   "slopewise data split words.npz --by speaker --held-out 3 --shots 5 --out few.npz"};
  for (Verb& each : verb.verbs) each.examples = verb.examples;
  return verb;
}

}  // namespace slopewise
