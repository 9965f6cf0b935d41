#include "apps/train/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/estimate/activity_prior.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/probe/probe.hpp"

namespace slopewise {
namespace {

constexpr Index kMost = 1'000'000'000;
const std::vector<std::string> kMethods{"exact", "weights", "activities", "local", "zeroth-order"};
const std::vector<std::string> kCorrections{"full", "gated", "none"};

NetworkSpec::Convolution convolution(const std::string& text) {
  const std::string digits = text.substr(0, text.find_first_of("np"));
  const std::string letters = text.substr(digits.size());
  const bool known = letters.empty() || letters == "n" || letters == "p" || letters == "np" || letters == "pn";
  Index channels = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), channels);
  if (error != std::errc() || end != digits.data() + digits.size() || channels < 1 || channels > 65536 || !known) {
    throw ArgumentError(
        fmt::format("--channels: expected numbers from 1 to 65536, with a p where pooling follows and an n where "
                    "nothing is padded, found '{}'",
                    text));
  }
  return {.channels = channels,
          .pool = letters.find('p') != std::string::npos,
          .padded = letters.find('n') == std::string::npos};
}

// The estimators that --method weights takes: the others are methods of their own.
std::vector<std::string> estimators_at_weights() {
  std::vector<std::string> names = estimator_names();
  std::erase_if(names, [](const std::string& name) { return name == "activities" || name == "exact"; });
  return names;
}

// A learning rate as given.
double number_of(const char* option, const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0 && value <= 1e6))
    throw ArgumentError(
        fmt::format("{}: expected a number above 0 and at most 1e6, or auto, found '{}'", option, text));
  return value;
}

}  // namespace

void add_train_options(CLI::App& command, TrainOptions& options) {
  TrainSettings& settings = options.settings;
  std::string group;
  const auto choice = [&](const char* name, std::string& value, const std::vector<std::string>& names,
                          const char* what) {
    return command.add_option(name, value, what)
        ->type_name("NAME")
        ->check(one_of(names))
        ->capture_default_str()
        ->group(group);
  };
  const auto count = [&](const char* name, Index& value, Index least, Index most, const char* what) {
    return command.add_option(name, value, what)
        ->type_name("N")
        ->check(CLI::Range(least, most))
        ->capture_default_str()
        ->group(group);
  };
  const auto number = [&](const char* name, double& value, double least, double most, const char* what) {
    return command.add_option(name, value, what)
        ->type_name("X")
        ->check(CLI::Range(least, most))
        ->capture_default_str()
        ->group(group);
  };

  group = "What is trained";
  add_data_options(command, options.data);
  choice("--model", options.model, network_names(), "Model");
  command
      .add_option("--hidden", options.hidden,
                  "Units of the hidden layers (mlp, cnn), channels (mixer) [the model's own]; 0: none")
      ->type_name("N,N,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(Index{0}, Index{1'000'000}))
      ->group(group);
  command
      .add_option(
          "--channels", options.convolutions,
          "Channels of the cnn's 3x3 convolutions [the model's own: 32n,64np]; 64p is pooled after, 64n not padded")
      ->type_name("N,Np,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(group);
  count("--patch", settings.network.patch, 1, 4096, "Side of the mixer's patches, in pixels");
  command
      .add_flag("--residual", settings.network.residual,
                "Layers of equal width add to what they read, and start smaller")
      ->group(group);
  count("--validation", settings.validation, 0, kMost,
        "Hold out the last N training images and judge on them, not on the test set");
  number("--rotate", options.rotate, -360, 360, "Turn all images counterclockwise by so many degrees");
  command.add_option("--initial", options.initial, "Start from these weights (.safetensors) instead of random ones")
      ->type_name("FILE")
      ->group(group);

  group = "How gradients are made";
  command.add_option("--preset", options.preset, "Take what is not given here from a preset: see --list-presets")
      ->type_name("NAME")
      ->group(group);
  choice("--method", options.method, kMethods,
         "exact: backprop; weights, activities: where tangents enter; local: activities, each block with its own loss; "
         "zeroth-order: differences of losses")
      // Papers call them activations as well.
      ->transform([](const std::string& word) { return word == "activations" ? "activities" : word; });
  count("--tangents", options.tangents, 0, 1'000'000, "Tangents of each step, and of each example for activities");
  command.add_option("--law", options.law, "Law of the tangents [rademacher; rank-one for weights]")
      ->type_name("NAME")
      ->check(one_of(probe_names()))
      ->group(group);
  choice("--prior", settings.method.options.activity.prior, activity_prior_names(),
         "What activities' gradients are expected to be");
  choice("--correction", options.correction, kCorrections,
         "How much of what slopes find beside the prior is added; gated: while its noise is bearable");
  number("--gate", settings.method.options.activity.gate, 1e-9, 1e9, "Noise over signal up to which all of it is");
  number("--pace", settings.method.options.activity.pace, 0, 2,
         "How fast the prior learns, at the largest learning rate");
  command
      .add_flag("--one-by-one", options.one_by_one,
                "Perturb the layers one by one, each with tangents and slopes of its own")
      ->group(group);
  command
      .add_flag("--estimated-head", options.estimated_head,
                "Estimate the last layer's gradient too, though it is known")
      ->group(group);
  count("--block-layers", options.block_layers, -1, 1'000'000,
        "Layers to a block with a loss of its own; 0: one block; -1: 1 for local, else 0");
  count("--groups", settings.network.groups, 1, 65536, "Heads of each block, each for its share of the units");
  choice("--estimator", options.estimator, estimators_at_weights(), "Estimator of weights");
  add_storage_option(command, settings.method.options.storage)->group(group);
  choice("--precision", options.precision, {"float32", "bf16"},
         "Factors of the products with weights in a step; sums, weights and the way back stay in float32");
  choice("--tangent-precision", options.tangent_precision, {"float32", "bf16"},
         "The same of those that carry tangents alone");
  number("--epsilon", settings.method.options.epsilon, 1e-12, 1e3, "Step of zeroth-order differences");
  command
      .add_flag("--checkpointed", settings.method.checkpointed,
                "exact: keep the activations of few layers, make the rest again")
      ->group(group);

  group = "Steps";
  choice("--optimizer", settings.optimizer, optimizer_names(), "Optimizer");
  command
      .add_option(
          "--rate,--learning-rate", options.rate,
          "Learning rate, the largest of its schedule; auto: by slopes and second-order terms, for weights by sgd")
      ->type_name("X|auto")
      ->capture_default_str()
      ->group(group);
  number("--final-rate", settings.final_rate, 0, 1e6, "Learning rate at the end of the schedule");
  choice("--schedule", settings.schedule, schedule_names(), "How the rate changes over the run");
  number("--warm-up", settings.warm_up, 0, 1e6, "Epochs in which the rate rises from 0");
  number("--momentum", settings.optimizer_options.momentum, 0, 0.999999, "Momentum (momentum, nesterov)");
  number("--beta1", settings.optimizer_options.beta1, 0, 0.999999, "First moment's decay (adam, adamw)");
  number("--beta2", settings.optimizer_options.beta2, 0, 0.9999999, "Second moment's decay (adam, adamw)");
  number("--weight-decay", settings.optimizer_options.weight_decay, 0, 1e6, "Weight decay");
  number("--clip-norm", options.clip_norm, 0, 1e30, "Longest gradient; 0: any");
  number("--clip-slope", options.clip_slope, 0, 1e30, "Largest slope of weights; 0: any");
  number("--clip-quantile", settings.method.options.clip_quantile, 1e-6, 1,
         "Share of the slopes of weights that are not clipped");
  number("--label-smoothing", settings.network.label_smoothing, 0, 0.999,
         "Share of the target spread over all classes");
  number("--input-dropout", settings.network.input_dropout, 0, 0.999, "Share of the inputs left out");
  number("--dropout", settings.network.dropout, 0, 0.999, "Share of every hidden layer left out");
  number("--average", settings.average, 0, 1, "Decay of the weights' average, which is then judged; 0: none");
  count("--batch", settings.batch, 1, kMost, "Images of a step");

  group = "How long";
  count("--epochs", settings.epochs, 1, kMost, "Epochs");
  count("--steps", settings.most_steps, 0, kMost, "Steps at most, though the epochs are not over; 0: no limit");
  number("--forwards", options.forwards, 0, 1e15,
         "Work at most, in forward passes on a batch: what fits is the run; 0: no limit");
  number("--seconds", options.seconds, 0, 1e9, "As many epochs as fit in this time, and at most --epochs; 0: no limit");
  number("--target-accuracy", options.target_accuracy, 0, 100, "Stop at this accuracy, in percent; 0: none");

  group = "What is told and kept";
  number("--evaluate-every", options.evaluate_every, 1e-6, 1e9, "Epochs between evaluations");
  count("--log-every", options.log_every, 1, kMost, "Steps between lines of metrics.jsonl");
  count("--measure-every", options.measure_every, -1, kMost,
        "Steps between measurements of the gradient's norm and noise; -1: 20 times in the run, at least 100 steps "
        "apart; 0: never");
  count("--check-against-backprop", options.check_every, 0, kMost,
        "Steps between measurements that also make the exact gradient; 0: never");
  number("--checkpoint-every", options.checkpoint_every, 0, 1e9, "Seconds between checkpoints");
  command.add_option("--out", options.out, "Directory of the run")
      ->type_name("DIR")
      ->capture_default_str()
      ->group(group);
  command.add_flag("--no-report", options.no_report, "Write no report.html")->group(group);
  command.add_option("--resume", options.resume, "Go on with the run in this directory")
      ->type_name("DIR")
      ->configurable(false)
      ->group(group);
  add_run_options(command, options.run);
}

TrainSettings resolve(const TrainOptions& options) {
  TrainSettings settings = options.settings;
  MethodSettings& method = settings.method;
  EstimatorOptions& estimate = method.options;
  const bool activities = options.method == "activities" || options.method == "local";
  method.estimator = activities                         ? "activities"
                     : options.method == "weights"      ? options.estimator
                     : options.method == "zeroth-order" ? "central"
                                                        : "exact";
  const NetworkSpec named = named_network(options.model);
  settings.network.family = named.family;
  settings.network.hidden = options.hidden.empty() ? named.hidden : options.hidden;
  if (options.hidden == std::vector<Index>{0}) settings.network.hidden.clear();
  settings.network.convolutions = named.convolutions;
  if (!options.convolutions.empty()) {
    if (named.family != "cnn") throw ArgumentError("--channels: expected --model cnn");
    settings.network.convolutions.clear();
    for (const std::string& text : options.convolutions) settings.network.convolutions.push_back(convolution(text));
  }
  settings.network.block_layers = options.block_layers >= 0   ? options.block_layers
                                  : options.method == "local" ? Index{1}
                                                              : Index{0};
  estimate.law = !options.law.empty() ? options.law : activities ? "rademacher" : "rank-one";
  if (!activities && options.tangents < 1 && options.method != "exact")
    throw ArgumentError("--tangents: expected at least 1 for tangents of weights");
  estimate.tangents = options.tangents;
  estimate.activity.correction = options.correction == "full"    ? Correction::kFull
                                 : options.correction == "gated" ? Correction::kGated
                                                                 : Correction::kNone;
  estimate.activity.together = !options.one_by_one;
  method.exact_head = !options.estimated_head;
  method.precision = options.precision == "bf16"           ? Precision::kBfloat16
                     : options.tangent_precision == "bf16" ? Precision::kBfloat16Tangents
                                                           : Precision::kFloat32;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (options.method != "weights") estimate.clip_quantile = 1;  // slopes of other methods are not clipped
  estimate.clip_slope = options.method == "weights" && options.clip_slope > 0 ? options.clip_slope : kInfinity;
  settings.optimizer_options.clip_norm = options.clip_norm > 0 ? options.clip_norm : kInfinity;
  settings.seed = options.run.seed;
  estimate.auto_rate = options.rate == "auto";
  settings.rate = estimate.auto_rate ? 1 : number_of("--rate", options.rate);
  if (estimate.auto_rate && (options.method != "weights" || settings.optimizer != "sgd" ||
                             std::isfinite(estimate.clip_slope) || estimate.clip_quantile < 1)) {
    throw ArgumentError("--rate auto: expected --method weights --optimizer sgd, which it clips the slopes of itself");
  }
  check(settings);
  return settings;
}

const Preset& find_preset(const std::string& name) {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) {
    if (preset.name == name) return preset;
    names.emplace_back(preset.name);
  }
  throw ArgumentError(
      fmt::format("--preset: expected one of {}, found {}{}", fmt::join(names, ", "), name, suggestion(name, names)));
}

}  // namespace slopewise
