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
#include "apps/picture.hpp"
#include "apps/verb.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/terminal.hpp"
#include "slopewise/report/text.hpp"

namespace slopewise {
namespace {

constexpr int kMostLabelRows = 40;
constexpr std::int64_t kBarColumns = 20;

struct ShowOptions {
  DataOptions data;
  std::int64_t samples = 6;
  bool json = false;
};

// Of one set, pixels as the networks see them: divided by 255.
struct SetSummary {
  std::vector<double> mean, deviation;  // per channel; the deviation is that of the population
  std::vector<std::int64_t> labels;     // how many images of each class
};

SetSummary summarize(const Dataset& set) {
  const auto channels = static_cast<std::size_t>(set.image_shape[2]);
  std::vector<std::uint64_t> sum(channels), squares(channels);
  for (std::size_t i = 0; i < set.pixels.size(); i += channels) {
    for (std::size_t c = 0; c < channels; ++c) {
      const std::uint64_t pixel = set.pixels[i + c];
      sum[c] += pixel;
      squares[c] += pixel * pixel;
    }
  }
  SetSummary summary;
  const double count = static_cast<double>(set.pixels.size() / channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const double mean = static_cast<double>(sum[c]) / count;
    summary.mean.push_back(mean / 255);
    summary.deviation.push_back(std::sqrt(std::max(0.0, static_cast<double>(squares[c]) / count - mean * mean)) / 255);
  }
  summary.labels.resize(static_cast<std::size_t>(set.classes));
  for (const std::int32_t label : set.labels) ++summary.labels[label];
  return summary;
}

// The first image of each class, by class, then the second of each, and so on.
std::vector<std::int64_t> choose_samples(const Dataset& set, std::int64_t count) {
  std::vector<std::int64_t> seen(static_cast<std::size_t>(set.classes));
  std::vector<std::int64_t> rank;
  for (const std::int32_t label : set.labels) rank.push_back(seen[label]++);
  std::vector<std::int64_t> order(set.labels.size());
  std::iota(order.begin(), order.end(), 0);
  const auto chosen = order.begin() + std::min(count, set.count());
  std::partial_sort(order.begin(), chosen, order.end(), [&](std::int64_t a, std::int64_t b) {
    return std::tuple(rank[a], set.labels[a], a) < std::tuple(rank[b], set.labels[b], b);
  });
  order.erase(chosen, order.end());
  return order;
}

nlohmann::ordered_json to_json(const Dataset& set, const SetSummary& summary) {
  return {{"images", set.count()}, {"mean", summary.mean}, {"std", summary.deviation}, {"labels", summary.labels}};
}

std::string label_table(const Dataset& set, const SetSummary& train, const SetSummary& test, int width) {
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

int show(const ShowOptions& options) {
  const DataSplit split = load_data(options.data);
  const SetSummary train = summarize(split.train), test = summarize(split.test);
  if (options.json) {
    nlohmann::ordered_json document = {{"schema", "slopewise.data/1"},
                                       {"name", split.train.name},
                                       {"format", split.format},
                                       {"image_shape", split.train.image_shape.extents()},
                                       {"classes", split.train.classes},
                                       {"class_names", split.train.class_names},
                                       {"train", to_json(split.train, train)},
                                       {"test", to_json(split.test, test)}};
    std::cout << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    return 0;
  }

  const int width = is_terminal(1) ? terminal_width(1) : 0;
  Table sets({"set", "images", "pixel mean", "std"});
  for (const auto& [name, set, summary] : {std::tuple{"train", &split.train, &train}, {"test", &split.test, &test}}) {
    sets.add_row({name, std::to_string(set->count()), fmt::format("{:.4f}", fmt::join(summary->mean, " ")),
                  fmt::format("{:.4f}", fmt::join(summary->deviation, " "))});
  }
  std::cout << fmt::format("{}: {}, images {}, {} classes; pixels 0 to 1{}\n\n", printable(split.train.name),
                           split.format, split.train.image_shape.to_string(), split.train.classes,
                           split.train.image_shape[2] > 1 ? ", by channel" : "")
            << sets.to_string(width) << '\n'
            << label_table(split.train, train, test, width);
  const std::vector<std::int64_t> samples = choose_samples(split.train, options.samples);
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

  Verb verb{.settings = Settings("data"), .summary = "Look at data sets, and fetch well-known ones"};
  verb.verbs = {std::move(show_verb), std::move(fetch_verb)};
  verb.examples = {"slopewise data show", "slopewise data show cifar-10-batches-bin --samples 20",
                   "slopewise data show mnist.npz --json", "slopewise data fetch mnist --out data/mnist"};
  for (Verb& each : verb.verbs) each.examples = verb.examples;
  return verb;
}

}  // namespace slopewise
