// `slopewise data`: what a data set holds, and well-known ones from the web.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
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

Verb add_data(CLI::App& app) {
  const auto options = std::make_shared<ShowOptions>();
  const auto fetch_options = std::make_shared<FetchOptions>();
  CLI::App& command = *app.add_subcommand("data", "Look at data sets, and fetch well-known ones");
  command.require_subcommand(0, 1);
  CLI::App& show_command =
      *command.add_subcommand("show", "Say what a data set holds, and draw some of its training images");
  show_command
      .add_option("path", options->data.directory,
                  "Directory of images in IDX, CIFAR-10, NumPy or CSV files, or an .npz file [built-in digits]")
      ->type_name("PATH");
  show_command.add_option("--samples", options->samples, "Training images to draw, from each class in turn")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{10'000}))
      ->capture_default_str();
  show_command.add_flag("--json", options->json, "Print the figures as JSON, for every label, and no images");
  CLI::App& fetch_command = *command.add_subcommand(
      "fetch", "Download a well-known data set and check it; what was begun goes on where it stopped");
  fetch_command.add_option("name", fetch_options->name, fmt::format("{}", fmt::join(fetchable_names(), ", ")))
      ->type_name("NAME")
      ->required();
  fetch_command.add_option("--out", fetch_options->out, "Directory to write to [NAME]")->type_name("DIR");
  fetch_command
      .add_option("--from", fetch_options->from, "Take the files from under this URL, not from public mirrors")
      ->type_name("URL");
  fetch_command
      .add_option("--sums", fetch_options->sums, "SHA-256 sums to check, as sha256sum writes them [built-in ones]")
      ->type_name("FILE");
  fetch_command.add_flag("--quiet", fetch_options->quiet, "Show no progress");
  const char* examples =
      "Examples:\n"
      "  slopewise data show\n"
      "  slopewise data show cifar-10-batches-bin --samples 20\n"
      "  slopewise data show mnist.npz --json\n"
      "  slopewise data fetch mnist --out data/mnist";
  command.footer(examples);
  show_command.footer(examples);
  fetch_command.footer(examples);
  return {&command, [&command, &show_command, &fetch_command, options, fetch_options] {
            if (show_command.parsed()) return show(*options);
            if (fetch_command.parsed()) return fetch(*fetch_options);
            std::cout << command.help();
            return 0;
          }};
}

}  // namespace slopewise
