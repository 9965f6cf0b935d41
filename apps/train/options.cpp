#include "apps/train/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "apps/config.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/estimate/activity_prior.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/probe/probe.hpp"

namespace slopewise {
namespace {

constexpr Index kMost = 1'000'000'000;
const std::vector<std::string> kCorrections{"full", "gated", "none"};

NetworkSpec::Convolution convolution(const std::string& text) {
  const std::string digits = text.substr(0, text.find_first_of("np"));
  const std::string letters = text.substr(digits.size());
  const bool known = letters.empty() || letters == "n" || letters == "p" || letters == "np" || letters == "pn";
  Index channels = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), channels);
  if (error != std::errc() || end != digits.data() + digits.size() || channels < 1 || channels > 65536 || !known) {
    throw ArgumentError(fmt::format(
        "expected numbers from 1 to 65536, with a p where pooling follows and an n where nothing is padded, "
        "found '{}'",
        text));
  }
  return {.channels = channels,
          .pool = letters.find('p') != std::string::npos,
          .padded = letters.find('n') == std::string::npos};
}

// "32" or "64p"; in files also 32.
Kind channels() {
  return {.label = "Np", .names = {}, .range = {}, .check = [](const Value& value) {
            const std::string word = to_words(value);
            convolution(word);
            return Value(word);
          }};
}

// The estimators that --method weights takes: the others are methods of their own.
std::vector<std::string> estimators_at_weights() {
  std::vector<std::string> names = estimator_names();
  std::erase_if(names, [](const std::string& name) { return name == "activities" || name == "exact"; });
  return names;
}

}  // namespace

Settings train_settings(TrainOptions& options) {
  TrainSettings& train = options.settings;
  MethodSettings& method = train.method;
  Settings settings("train");
  const auto count = [&](const char* name, Index& value, Index least, Index most, const char* what,
                         SettingTraits traits = {}) { settings.add(name, value, whole(least, most), what, traits); };
  const auto real = [&](const char* name, double& value, double least, double most, const char* what,
                        SettingTraits traits = {}) { settings.add(name, value, number(least, most), what, traits); };
  const auto choice = [&](const char* name, std::string& value, std::vector<std::string> names, const char* what,
                          SettingTraits traits = {}) {
    settings.add(name, value, one_of(std::move(names)), what, traits);
  };
  // One run's own, whatever stands about it.
  constexpr SettingTraits kRare{.rare = true}, kSingle{.rare = true, .part = Part::kRun};
  constexpr SettingTraits kRareTask{.rare = true, .part = Part::kTask};

  settings.begin("What is trained", Part::kTask);
  add_data_options(settings, options.data);
  settings.add("model", options.model, text_like("NAME", network_names()), "Model, or the ONNX file of one");
  settings.add("hidden", options.hidden, whole(0, 1'000'000),
               "Units of the hidden layers (mlp, cnn), channels (mixer); 0: none", {.otherwise = "the model's own"});
  settings.add("channels", options.convolutions, channels(),
               "Channels of the cnn's 3x3 convolutions; 64p is pooled after, 64n not padded",
               {.otherwise = "the model's own: 32n,64np", .rare = true});
  count("patch", train.network.patch, 1, 4096, "Side of the mixer's patches, in pixels", kRare);
  settings.flag("residual", train.network.residual, "Layers of equal width add to what they read, and start smaller",
                kRare);
  count("validation", train.validation, 0, kMost,
        "Hold out the last N training images and judge on them, not on the test set", kSingle);
  real("rotate", options.rotate, -360, 360, "Turn all images counterclockwise by so many degrees", kSingle);
  settings.add("initial", options.initial, text("FILE"), "Start from these weights (.safetensors or .npz)",
               {.otherwise = "random ones", .rare = true, .part = Part::kRun});

  add_onnx_settings(settings, options.onnx, &options.data);

  settings.begin("How gradients are made", Part::kMethod);
  settings.add("preset", options.preset, one_of(presets().names()),
               "Take what is not given here from a preset: see --list-presets", {.otherwise = "none"});
  settings.add("method", options.method,
               one_of({"exact", "weights", "activities", "local", "zeroth-order"},
                      {{"activations", "activities"}, {"backprop", "exact"}, {"backpropagation", "exact"}}),
               "exact: backprop; weights, activities: where tangents enter; local: activities, each block with its own "
               "loss; zeroth-order: differences of losses");
  count("tangents", options.tangents, 0, 1'000'000, "Tangents of each step, and of each example for activities");
  choice("law", options.law, probe_names(), "Law of the tangents", {.otherwise = "rademacher; rank-one for weights"});
  count("rank", method.options.law_options.rank, 1, 1024, "Columns of the factors of low-rank tangents", kRare);
  count("hold", method.options.law_options.hold, 1, kMost, "Steps for which low-rank tangents keep their right factor",
        kRare);
  choice("prior", method.options.activity.prior, activity_prior_names(),
         "What activities' gradients are expected to be");
  choice("correction", options.correction, kCorrections,
         "How much of what slopes find beside the prior is added; gated: while its noise is bearable");
  real("gate", method.options.activity.gate, 1e-9, 1e9, "Noise over signal up to which all of it is", kRare);
  real("pace", method.options.activity.pace, 0, 2, "How fast the prior learns, at the largest learning rate", kRare);
  count("block-group", method.options.activity.group, 1, 1'000'000,
        "residual: blocks that are taken back together, each group through itself alone", kRare);
  count("look-ahead", method.options.activity.ahead, 0, 1'000'000,
        "residual: groups above a group that its gradient is taken back through first; with --tangents 0", kRare);
  settings.flag("one-by-one", options.one_by_one,
                "Perturb the layers one by one, each with tangents and slopes of its own", kRare);
  settings.flag("estimated-head", options.estimated_head, "Estimate the last layer's gradient too, though it is known",
                kRare);
  count(
      "exact-blocks", options.exact_blocks, -1, 1'000'000,
      "Of the last N blocks, and of what follows them, the gradient is exact; with --method exact nothing else trains; "
      "-1: none");
  settings.add("memory", options.memory, bytes(),
               "In place of --exact-blocks: as many as a step fits into so much memory with; 0: those", kSingle);
  count("block-layers", options.block_layers, -1, 1'000'000,
        "Layers to a block with a loss of its own; 0: one block; -1: 1 for local, else 0", kRare);
  count("groups", train.network.groups, 1, 65536, "Heads of each block, each for its share of the units", kRare);
  choice("estimator", options.estimator, estimators_at_weights(), "Estimator of weights", kRare);
  add_storage_option(settings, method.options.storage, kRare);
  choice("precision", options.precision, {"float32", "bf16"},
         "Factors of the products with weights in a step; sums, weights and the way back stay in float32", kRare);
  choice("tangent-precision", options.tangent_precision, {"float32", "bf16"},
         "The same of those that carry tangents alone", kRare);
  real("epsilon", method.options.epsilon, 1e-12, 1e3, "Step of zeroth-order differences", kRare);
  settings.flag("one-sided", options.one_sided, "zeroth-order: differences from the loss at theta, K + 1 losses a step",
                kRare);
  settings.flag("per-deviation", method.options.per_deviation,
                "zeroth-order, one-sided: steps over the standard deviation of the losses", kRare);
  settings.flag("checkpointed", method.checkpointed, "exact: keep the activations of few layers, make the rest again",
                kRare);
  count("micro-batch", method.micro_batch, 0, kMost,
        "exact: examples in flight at a time, whose gradients are added up; 0: up to 1024", kRare);

  settings.begin("Steps", Part::kShared);
  choice("optimizer", train.optimizer, optimizer_names(), "Optimizer");
  const auto rate = [&options] { return options.rate ? Value(*options.rate) : Value("auto"); };
  const auto set_rate = [&options](const Value& value) {
    options.rate = value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
  };
  settings.add("rate", rate, set_rate, number_or("auto", 1e-30, 1e6),
               "Learning rate, the largest of its schedule; auto: by slopes and curvature along the steps");
  real("final-rate", train.final_rate, 0, 1e6, "Learning rate at the end of the schedule", kRare);
  choice("schedule", train.schedule, schedule_names(), "How the rate changes over the run");
  real("warm-up", train.warm_up, 0, 1e6, "Epochs in which the rate rises from 0", kRare);
  real("momentum", train.optimizer_options.momentum, 0, 0.999999, "Momentum (momentum, nesterov)", kRare);
  real("beta1", train.optimizer_options.beta1, 0, 0.999999, "First moment's decay (adam, adamw)", kRare);
  real("beta2", train.optimizer_options.beta2, 0, 0.9999999, "Second moment's decay (adam, adamw)", kRare);
  real("weight-decay", train.optimizer_options.weight_decay, 0, 1e6, "Weight decay", kRareTask);
  real("clip-norm", options.clip_norm, 0, 1e30, "Longest gradient; 0: any", kRare);
  real("clip-slope", options.clip_slope, 0, 1e30, "Largest slope of weights; 0: any", kRare);
  real("clip-quantile", method.options.clip_quantile, 1e-6, 1, "Share of the slopes of weights that are not clipped",
       kRare);
  real("label-smoothing", train.network.label_smoothing, 0, 0.999, "Share of the target spread over all classes",
       kRareTask);
  real("input-dropout", train.network.input_dropout, 0, 0.999, "Share of the inputs left out", kRareTask);
  real("dropout", train.network.dropout, 0, 0.999, "Share of every hidden layer left out", kRareTask);
  real("average", train.average, 0, 1, "Decay of the weights' average, which is then judged; 0: none", kRareTask);
  count("batch", train.batch, 1, kMost, "Images of a step", {.part = Part::kTask});

  choice("divide", options.divide, {"examples", "tangents", "both"},
         "What a step in pieces is cut by; tangents, of weights alone", kRare);
  count("tangent-parts", train.tangent_parts, 1, kMost, "Of --divide both: parts that the tangents are cut into",
        kRare);
  count(
      "pieces", options.pieces, -1, kMost,
      "Pieces of each step, which ranks share and on which, not on the ranks, the bits depend; 0: none; -1: 4 or more "
      "with ranks, else none",
      kRare);
  settings.add("workers", options.workers, whole(1, 10'000), "Ranks on this machine that share each step, by mpirun",
               {.rare = true, .resumable = true, .part = Part::kRun});
  settings.add("rank-timeout", options.rank_timeout, number(0.1, 1e9),
               "Seconds without an answer after which a rank counts as lost",
               {.rare = true, .resumable = true, .part = Part::kRun});
  settings.flag("mixed", options.mixed,
                "Let ranks have other processors, whose bits differ: rank 0's weights are sent every hundred steps",
                {.rare = true, .resumable = true, .part = Part::kRun});
  settings.flag("elastic", options.elastic, "Go on with the others of --workers where a rank is lost, to the same bits",
                {.rare = true, .resumable = true, .part = Part::kRun});

  settings.begin("How long", Part::kTask);
  count("epochs", train.epochs, 1, kMost, "Epochs");
  count("steps", train.most_steps, 0, kMost,
        "Steps at most, though the epochs are not over; where no epochs are given, all of them; 0: no limit", kSingle);
  real("forwards", options.forwards, 0, 1e15,
       "Work at most, in forward passes on a batch: what fits is the run; 0: no limit", kSingle);
  real("seconds", options.seconds, 0, 1e9, "As many epochs as fit in this time, and at most --epochs; 0: no limit");
  real("target-accuracy", options.target_accuracy, 0, 100, "Stop at this accuracy, in percent; 0: none", kSingle);

  settings.begin("What is told and kept", Part::kRun);
  real("evaluate-every", options.evaluate_every, 1e-6, 1e9, "Epochs between evaluations",
       {.rare = true, .part = Part::kShared});
  count("log-every", options.log_every, 1, kMost, "Steps between lines of metrics.jsonl",
        {.rare = true, .part = Part::kShared});
  count("measure-every", options.measure_every, -1, kMost,
        "Steps between measurements of the gradient's norm and noise; -1: 20 times in the run, at least 100 steps "
        "apart; 0: never",
        kRare);
  count("check-against-backprop", options.check_every, 0, kMost,
        "Steps between measurements that also make the exact gradient; 0: never", kRare);
  real("checkpoint-every", options.checkpoint_every, 0, 1e9, "Seconds between checkpoints",
       {.rare = true, .resumable = true});
  choice("log-slopes", options.log_slopes, {"auto", "on", "off"},
         "Log the numbers that make each step in slopes.log; auto: of a method whose steps they do make", kRare);
  add_run_directory_options(settings, options.directory, kTrainDirectory);
  settings.flag("no-report", options.no_report, "Write no report.html", {.rare = true, .resumable = true});
  settings.add("resume", options.resume, text("DIR"), "Go on with the run in this directory",
               {.in_files = false, .resumable = true});
  add_run_options(settings, options.run);
  return settings;
}

namespace {

void require_what_fits(const TrainOptions& options, const Settings& given) {
  if (!is_onnx(options.model)) return refuse_onnx_settings(given);
  for (const char* name :
       {"hidden", "channels", "patch", "residual", "block-layers", "groups", "dropout", "input-dropout"})
    require_standard_unless(false, given.at(name), "a model of a family, not with a file");
  if (options.method == "local") throw ArgumentError("--method local: expected a model of a family, found a file");
}

// Of plain descent along tangents the slopes and second-order terms of these tell the rate, which takes no vector of
// θ's size; of other steps those along the step itself do.
void choose_auto_rate(TrainSettings& settings, bool exact_blocks) {
  MethodSettings& method = settings.method;
  const EstimatorOptions& estimate = method.options;
  const bool clips = std::isfinite(estimate.clip_slope) || estimate.clip_quantile < 1;
  if (settings.optimizer == "sgd" && !clips && !exact_blocks &&
      (method.estimator == "forward" || method.estimator == "central")) {
    method.options.auto_rate = true;
    return;
  }
  if (takes_losses_alone(method.estimator)) {
    throw ArgumentError(
        "--rate auto: of differences of losses expected --optimizer sgd, both sides and no slopes that are clipped, as "
        "losses alone tell the rate");
  }
  settings.step_rate = true;
}

}  // namespace

bool is_of_task(const Setting& setting) {
  static const std::vector<std::string> kOther{"rotate", "initial", "train", "batch"};
  static const std::vector<std::string> kNot{"epochs",  "seconds",       "weight-decay", "label-smoothing",
                                             "average", "input-dropout", "dropout"};
  return (setting.part == Part::kTask && std::ranges::find(kNot, setting.name) == kNot.end()) ||
         std::ranges::find(kOther, setting.name) != kOther.end();
}

TrainSettings resolve(const TrainOptions& options, const Settings& given) {
  require_what_fits(options, given);
  TrainSettings settings = options.settings;
  MethodSettings& method = settings.method;
  EstimatorOptions& estimate = method.options;
  const bool activities = options.method == "activities" || options.method == "local";
  method.estimator = activities                         ? "activities"
                     : options.method == "weights"      ? options.estimator
                     : options.method == "zeroth-order" ? options.one_sided ? "one-sided" : "central"
                                                        : "exact";
  const NetworkSpec named = is_onnx(options.model) ? NetworkSpec() : named_network(options.model);
  settings.network.family = named.family;
  settings.network.hidden = options.hidden.empty() ? named.hidden : options.hidden;
  if (options.hidden == std::vector<Index>{0}) settings.network.hidden.clear();
  settings.network.convolutions = named.convolutions;
  if (!options.convolutions.empty()) {
    if (named.family != "cnn") throw ArgumentError("--channels: expected --model cnn");
    settings.network.convolutions.clear();
    for (const std::string& word : options.convolutions) settings.network.convolutions.push_back(convolution(word));
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
  if (method.options.per_deviation && method.estimator != "one-sided")
    throw ArgumentError("--per-deviation: expected --method zeroth-order --one-sided");
  if (options.one_sided && options.method != "zeroth-order")
    throw ArgumentError("--one-sided: expected --method zeroth-order");
  method.exact_head = !options.estimated_head;
  if (options.exact_blocks >= 0 || options.memory > 0) {
    const char* name = options.memory > 0 ? "--memory" : "--exact-blocks";
    const auto require = [name](bool holds, const char* what) {
      if (!holds) throw ArgumentError(fmt::format("{}: expected {}", name, what));
    };
    require(options.exact_blocks < 0 || options.memory == 0, "no --exact-blocks beside it");
    require(options.method != "zeroth-order", "slopes or exact gradients; differences of losses move all weights");
    require(options.method != "local", "one network under one loss, not --method local");
    require(options.block_layers <= 0, "one network under one loss, not --block-layers");
    require(!method.checkpointed, "no --checkpointed; the blocks' activations are what is held");
    require(method.micro_batch == 0, "no --micro-batch; few examples are in flight as it is");
    require(!options.estimated_head, "no --estimated-head");
    require(options.method != "exact" || is_onnx(options.model) || settings.optimizer_options.weight_decay == 0,
            "no --weight-decay, which would move what lies below the blocks");
  }
  if (options.exact_blocks >= 0) estimate.exact_blocks = options.exact_blocks;
  method.precision = options.precision == "bf16"           ? Precision::kBfloat16
                     : options.tangent_precision == "bf16" ? Precision::kBfloat16Tangents
                                                           : Precision::kFloat32;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (options.method != "weights") estimate.clip_quantile = 1;  // slopes of other methods are not clipped
  estimate.clip_slope = options.method == "weights" && options.clip_slope > 0 ? options.clip_slope : kInfinity;
  settings.optimizer_options.clip_norm = options.clip_norm > 0 ? options.clip_norm : kInfinity;
  settings.seed = options.run.seed;
  settings.pieces = std::max(options.pieces, Index{0});
  settings.divide = options.divide == "tangents" ? Divide::kTangents
                    : options.divide == "both"   ? Divide::kBoth
                                                 : Divide::kExamples;
  settings.rate = options.rate.value_or(1);
  if (!options.rate) choose_auto_rate(settings, options.exact_blocks >= 0 || options.memory > 0);
  check(settings);
  return settings;
}

std::string Preset::summary() const {
  const std::string first = toml.substr(0, toml.find('\n'));
  return first.starts_with("# ") ? first.substr(2) : "";
}

std::string Preset::made_for() const {
  constexpr std::string_view kMark = "\n# for ";
  const std::size_t mark = toml.find('\n');
  if (mark == std::string::npos || toml.compare(mark, kMark.size(), kMark) != 0) return "";
  const std::size_t start = mark + kMark.size();
  return toml.substr(start, toml.find('\n', start) - start);
}

void require_task(const Preset& preset, const Settings& settings, const std::string& source) {
  const bool data = settings.given("data") || settings.given("input");
  if (const std::string own = preset.made_for(); !own.empty() && !(data && settings.given("model")))
    throw ArgumentError(fmt::format("{}: expected {}; found {}", source, own,
                                    data                      ? "no --model"
                                    : settings.given("model") ? "no --data"
                                                              : "neither"));
  if (data) return;
  TrainOptions options;
  Settings own = train_settings(options);
  apply_config(own, preset.toml, source, [](const Setting& setting) { return setting.name == "data"; });
  if (own.given("data")) {
    throw ArgumentError(fmt::format(
        "{0}: expected --data {1}, which the preset is for (slopewise data fetch {1}), or --data digits, the built-in "
        "ones; found none",
        source, options.data.path));
  }
}

}  // namespace slopewise
