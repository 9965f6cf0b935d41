// `slopewise scale`: what a step would take by many ranks, from this machine's times and a network's figures.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/arguments.hpp"
#include "apps/bench/machine.hpp"
#include "apps/config.hpp"
#include "apps/train/task.hpp"
#include "apps/verb.hpp"
#include "apps/wire_options.hpp"
#include "slopewise/audit/scale.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/probe/probe.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/terminal.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

struct ScaleOptions {
  TrainOptions train;  // the task's, and its tangents
  std::vector<Index> ranks{1, 2, 4, 8, 16, 100, 1000, 10000};
  Wire wire;
  double seconds = 10;
  bool json = false;
};

Json scale_document(const ScaleOptions& options, const Settings& given, const TrainSettings& settings,
                    const std::vector<ScalePoint>& points, Index parameters, double snr) {
  Json all = Json::array();
  for (const ScalePoint& point : points) {
    all.push_back({{"ranks", point.ranks},
                   {"examples", to_json(point.examples)},
                   {"tangents", to_json(point.tangents)},
                   {"both", to_json(point.both)},
                   {"backprop", to_json(point.backprop)}});
  }
  return {{"schema", "slopewise.scale/1"},
          {"model", options.train.model},
          {"parameters", parameters},
          {"batch", settings.batch},
          {"tangents", settings.method.options.tangents},
          {"law", settings.method.options.law},
          {"snr", snr},
          {"latency", options.wire.latency},
          {"bandwidth", options.wire.bandwidth},
          {"overhead", options.wire.overhead},
          {"ranks", std::move(all)},
          {"options", config_object(given)},
          {"command", command_line()},
          {"version", version()},
          {"threads", thread_count()},
          {"machine", describe_machine()}};
}

std::string scale_text(const ScaleOptions& options, const TrainSettings& settings,
                       const std::vector<ScalePoint>& points, Index parameters, double snr) {
  Table table({"ranks", "examples divided", "bytes", "tangents divided", "bytes", "both divided", "bytes", "backprop",
               "bytes", "steps for one of backprop"});
  const auto bytes = [](const RankStep& step) { return format_bytes(static_cast<std::int64_t>(step.bytes)); };
  for (const ScalePoint& point : points) {
    const double least = std::min({point.examples.seconds(), point.tangents.seconds(), point.both.seconds()});
    table.add_row({std::to_string(point.ranks), format_seconds(point.examples.seconds()), bytes(point.examples),
                   format_seconds(point.tangents.seconds()), bytes(point.tangents),
                   format_seconds(point.both.seconds()), bytes(point.both), format_seconds(point.backprop.seconds()),
                   bytes(point.backprop), format_number(point.backprop.seconds() / least)});
  }
  // A space before the unit where the number has no prefix of its own.
  std::string bits = format_number(8 * options.wire.bandwidth);
  if (bits.find(' ') == std::string::npos) bits += ' ';
  const auto counted = [](Index count, const char* noun) { return format_count(static_cast<double>(count), noun); };
  return fmt::format(
      "A step of {} on {} along {} ({}), each rank a machine like this with {}, {} and\n"
      "{}bit/s between them. Bytes are those that all ranks send.\n\n{}\n"
      "The signal in such a step is {} of its noise. At curvatures alike everywhere it moves as far as {} of a step\n"
      "of backprop; where the last column is below {}, backprop is the faster way to train.\n",
      counted(parameters, "parameter"), counted(settings.batch, "example"),
      counted(settings.method.options.tangents, "tangent"), settings.method.options.law,
      counted(thread_count(), "thread"), format_seconds(options.wire.latency), bits,
      table.to_string(is_terminal(1) ? terminal_width(1) : 0, wants_colour(1)), format_number(snr),
      format_number(snr / (1 + snr)), format_number(1 + 1 / snr));
}

int run_scale(ScaleOptions& options, const Settings& given, Settings& train) {
  apply(options.train.run);
  for (const Setting& setting : given.all()) {
    if (Setting* same = train.find(setting.name); same && is_of_task(setting)) same->given = setting.given;
  }
  options.train.method = "weights";
  options.train.estimated_head = true;
  const TrainSettings settings = resolve(options.train, train);
  const std::optional<OnnxNetwork> model = open_model(options.train);
  const DataSplit data = load_data(options.train, model);
  const Network network = network_of(settings, data, model);
  const ParameterLayout& layout = network.training.front().program->layout();
  const EstimatorOptions& estimate = settings.method.options;
  const double snr = make_probe(estimate.law, layout, estimate.seed, estimate.law_options)->snr(estimate.tangents).low;
  std::vector<ScalePoint> points;
  {
    Progress progress("scale", 1, {.quiet = options.train.run.quiet});
    points = predict_scale(settings, data, network, options.ranks, options.wire, true, options.seconds,
                           [&](double share) { progress.advance(share); });
  }
  if (options.json) {
    std::cout << scale_document(options, given, settings, points, layout.size, snr)
                     .dump(2, ' ', false, Json::error_handler_t::replace)
              << '\n';
  } else if (!options.train.run.quiet) {
    std::cout << scale_text(options, settings, points, layout.size, snr);
  }
  return 0;
}

}  // namespace

Verb scale_verb() {
  const auto options = std::make_shared<ScaleOptions>();
  const auto train = std::make_shared<Settings>(train_settings(options->train));
  Verb verb{.settings = Settings("scale"),
            .summary = "Predict what a step takes by many ranks that exchange slopes, beside data-parallel backprop"};
  verb.notes =
      "Times a rank's share of a step on this machine, and adds what a network of the given figures takes to carry "
      "what "
      "ranks send. Nothing is trained.";
  Settings& settings = verb.settings;
  for (const Setting& setting : train->all()) {
    if (setting.name == "initial") continue;  // what weights are changes no time
    if (is_of_task(setting) || setting.name == "tangents" || setting.name == "law" || setting.name == "optimizer" ||
        setting.name == "tangent-parts")
      settings.add(setting);
  }
  settings.begin("The ranks");
  settings.add("ranks", options->ranks, whole(1, 1'000'000), "How many of them");
  add_wire_options(settings, options->wire);
  settings.add("time", options->seconds, with_unit("SECONDS", {{"s", 1}, {"min", 60}, {"h", 3600}}, 0.1, 1e6),
               "How long to measure, about; each share runs 31 times at least");
  settings.begin("");
  settings.flag("json", options->json, "Print JSON instead of the table");
  add_run_options(settings, options->train.run);
  verb.examples = {"slopewise scale --model mlp-1024 --ranks 1,2,4,100,10000 --latency 50us --bandwidth 10Gb/s",
                   "slopewise scale --model model.onnx --data data.npz --train lora:8 --tangents 64 --latency 20ms "
                   "--bandwidth 50Mb/s --json"};
  verb.run = [options, train](Settings& given) { return run_scale(*options, given, *train); };
  return verb;
}

}  // namespace slopewise
