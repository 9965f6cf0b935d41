// `slopewise gradient`: one gradient, exact and estimated, with everything another tool needs to check the estimate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/arguments.hpp"
#include "apps/gradient_figures.hpp"
#include "apps/onnx_options.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/data/batches.hpp"
#include "slopewise/data/npz.hpp"
#include "slopewise/data/safetensors.hpp"
#include "slopewise/estimate/activity_prior.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/model/network.hpp"
#include "slopewise/objective/example_batch.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/terminal.hpp"
#include "slopewise/train/description.hpp"
#include "slopewise/train/evaluation.hpp"
#include "slopewise/train/weights.hpp"

namespace slopewise {
namespace {

struct GradientOptions {
  RunOptions run;
  DataOptions data;
  std::string model = "mlp-1024";
  OnnxSettings onnx;
  std::vector<Index> hidden;  // empty: the model's own
  std::string estimator = "forward";
  std::string law;  // empty: the estimator's usual one
  std::string correction = "full";
  bool exact_head = false, estimated_head = false, one_by_one = false;
  Index exact_blocks = -1;  // −1: none
  double clip_slope = 0;    // 0: none
  EstimatorOptions estimate;
  Index samples = 100;
  Index learn = 0;  // estimates before the samples, which the estimator learns from
  Index batch = 64;
  std::string precision = "float32";
  std::string tangent_precision = "float32";
  std::string parameters, save_parameters, example;  // files; empty: none
  std::string out = "gradient.npz";
  bool json = false;
};

Model model_of(const ChainBlock& block) {
  return {.program = *block.program, .logits = block.sites.logits, .sites = block.sites};
}

NetworkSpec spec_of(const GradientOptions& options) {
  NetworkSpec network = named_network(options.model);
  if (!options.hidden.empty()) network.hidden = options.hidden;
  return network;
}

Model make_model(const GradientOptions& options, const Dataset& data) {
  const NetworkSpec network = spec_of(options);
  return make_model(
      network,
      network.family == "mlp" || network.family == "logistic" ? Shape{data.image_shape.size()} : data.image_shape,
      target_of(data));
}

constexpr const char* kSafetensors = ".safetensors";

bool in_safetensors(const std::filesystem::path& file) {
  return extension_of(file) == kSafetensors;
}

// The files to write, opened before the work starts, so that what cannot be written is known then.
struct Outputs {
  std::optional<NpzWriter> result, parameters, example;

  explicit Outputs(const GradientOptions& options) {
    if (options.out.empty()) throw ArgumentError("--out: expected a file name, found none");
    check("--out", options.out, {".npz"});
    check("--save-parameters", options.save_parameters, {".npz", kSafetensors});
    check("--example", options.example, {".npz"});
    const auto distinct = [](const std::string& one, const std::string& other) {
      const auto place = [](const std::string& file) {
        std::error_code ignored;
        return std::filesystem::weakly_canonical(std::filesystem::absolute(file), ignored);
      };
      if (!one.empty() && !other.empty() && place(one) == place(other)) refuse_shared(one);
    };
    distinct(options.save_parameters, options.out);
    distinct(options.example, options.out);
    distinct(options.example, options.save_parameters);
    result.emplace(options.out);
    if (!options.save_parameters.empty() && !in_safetensors(options.save_parameters))
      parameters.emplace(options.save_parameters);
    if (!options.example.empty()) example.emplace(options.example);
  }

 private:
  static void check(const std::string& option, const std::string& path, const std::vector<std::string>& extensions) {
    if (path.empty()) return;
    // Put in place by a rename, a file would take a device's place, and fail on a directory only at the end.
    if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path)) {
      throw FileError(fmt::format("{}: cannot write: expected a file or nothing there, found a {}", path,
                                  std::filesystem::is_directory(path) ? "directory" : "device"));
    }
    require_extension(option, path, extensions);
  }
  [[noreturn]] static void refuse_shared(const std::string& path) {
    throw ArgumentError(fmt::format("{}: expected a file of its own for each output, found it named twice", path));
  }
};

// One array a segment, under its name.
template <class T>
void add_segments(NpzWriter& file, const std::string& prefix, const ParameterLayout& layout, std::span<const T> theta) {
  for (const Segment& segment : layout.segments) {
    file.add(prefix + segment.name, segment.shape, theta.subspan(segment.offset, segment.size()));
  }
}

// With what says which network they are of, as `slopewise train` leaves weights: `evaluate` takes them.
template <class T>
void save_weights(const std::string& path, const ParameterLayout& layout, std::span<const T> theta,
                  const std::map<std::string, std::string>& description) {
  std::vector<SafetensorView> tensors;
  for (const Segment& segment : layout.segments)
    tensors.push_back({segment.name, segment.shape, theta.subspan(segment.offset, segment.size())});
  save_safetensors(path, tensors, description);
}

template <class T>
Parameters<T> load_parameters(const std::string& path, const ParameterLayout& layout) {
  Parameters<T> parameters(layout.size);
  read_weights<T>(TensorFile(path), std::vector{BlockWeights<T>{&layout, parameters.edit()}});
  return parameters;
}

struct Summary {
  Index parameters;
  double loss;
  std::string data;
  std::string law;  // empty: no tangents
  std::vector<Figure> figures;
};

std::string table_text(const GradientOptions& options, const Summary& summary) {
  const auto number = [](double x) { return std::isnan(x) ? std::string() : format_number(x); };
  Table table({"", "expected", "measured", "interval", "coverage"});
  table.add_row({"parameters", number(static_cast<double>(summary.parameters)), "", "", ""});
  table.add_row({"loss", number(summary.loss), "", "", ""});
  for (const Figure& figure : summary.figures) {
    table.add_row({figure.label, number(figure.expected), number(figure.measured),
                   figure.interval ? format_interval(figure.interval->low, figure.interval->high) : "",
                   figure.interval ? fmt::format("{:g} %", 100 * figure.confidence) : ""});
  }
  const std::string along =
      summary.law.empty() ? "" : fmt::format(", {} tangents, K = {}", summary.law, options.estimate.tangents);
  return fmt::format("{}, {} of {}; {} estimate{}; N = {}\n\n{}\nwritten to {}\n", options.model,
                     format_count(static_cast<double>(options.batch), "image"), summary.data, options.estimator, along,
                     options.samples, table.to_string(terminal_width(1), wants_colour(1)), options.out);
}

nlohmann::ordered_json json_summary(const GradientOptions& options, const Summary& summary) {
  nlohmann::ordered_json document = {{"format", "slopewise-gradient"},
                                     {"format_version", 1},
                                     {"slopewise", version()},
                                     {"model", options.model},
                                     {"parameters", summary.parameters},
                                     {"data", summary.data},
                                     {"batch", options.batch},
                                     {"precision", options.precision},
                                     {"tangent_precision", options.tangent_precision},
                                     {"estimator", options.estimator},
                                     {"law", nullptr},
                                     {"tangents", options.estimate.tangents},
                                     {"samples", options.samples},
                                     {"seed", options.run.seed},
                                     {"loss", summary.loss}};
  if (!summary.law.empty()) document["law"] = summary.law;
  for (const Figure& figure : summary.figures) {
    nlohmann::ordered_json entry = {
        {"expected", figure.expected}, {"measured", figure.measured}, {"interval", nullptr}};
    if (figure.interval) entry["interval"] = {figure.interval->low, figure.interval->high};
    entry["confidence"] = figure.confidence;
    document["figures"][figure.key] = entry;
  }
  document["out"] = options.out;
  return document;
}

Shape with_batch(Index rows, const Shape& shape) {
  std::vector<Index> extents = shape.extents();
  extents.insert(extents.begin(), rows);
  return Shape(extents);
}

// The batch's inputs, and labels or targets, as the program reads them.
template <class T>
void add_example(NpzWriter& file, const Dataset& data, const Batch<T>& batch) {
  std::vector<std::pair<std::string, Shape>> arrays{
      {data.input_name == "image" ? "images" : data.input_name, data.image_shape}};
  for (const OtherInput& other : data.others) arrays.emplace_back(other.name, other.shape);
  if (data.outputs > 0) {
    arrays.emplace_back("targets", Shape{data.outputs});
  } else if (data.classes > 0) {
    arrays.emplace_back("labels", data.label_shape);
  }
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const Shape shape = with_batch(batch.rows, arrays[i].second);
    std::visit([&](const auto& numbers) { file.add(arrays[i].first, shape, numbers); }, batch.inputs[i]);
  }
}

template <class T>
void add_scalar(NpzWriter& file, const std::string& name, T value) {
  file.add(name, Shape{}, std::span<const T>(&value, 1));
}

template <class T>
Summary measure(const GradientOptions& options, Outputs& outputs) {
  std::optional<OnnxNetwork> file;
  if (is_onnx(options.model)) file = open_onnx(options.model, options.onnx);
  const DataSplit data = file ? load_data(options.data, options.run.seed,
                                          data_of(*file->model, onnx_loss_options(options.onnx)), DataUse::kJudgeFile)
                              : load_data(options.data, options.run.seed);
  if (options.batch > data.train.count()) {
    throw ArgumentError(fmt::format("--batch: expected 1 to {}, the training images of {}, found {}",
                                    data.train.count(), data.train.name, options.batch));
  }
  const std::vector<Index> rows = Batches(data.train.count(), options.batch, options.run.seed).indices(0);
  const ExampleBatch<T> batch(data.train, rows);
  const Model model = file ? model_of(file->network.evaluating.front()) : make_model(options, data.train);
  const ParameterLayout& layout = model.program.layout();
  const Parameters<T> theta = !options.parameters.empty() ? load_parameters<T>(options.parameters, layout)
                              : file                      ? file->model->initial<T>(options.run.seed)
                                                          : initialize<T>(layout, options.run.seed);
  const auto estimator =
      make_estimator<T>(options.estimator, EstimatorTarget(model.program, model.sites), options.estimate);
  if (options.learn > 0 && estimator->state().empty()) {
    throw ArgumentError(fmt::format("--learn: expected an estimator that learns from earlier estimates, found '{}'",
                                    options.estimator));
  }
  check_interrupted("preparing");

  const Precision precision = options.precision == "bf16"           ? Precision::kBfloat16
                              : options.tangent_precision == "bf16" ? Precision::kBfloat16Tangents
                                                                    : Precision::kFloat32;
  const bool low = precision != Precision::kFloat32;
  ProgramObjective<T> objective(model.program, batch.batch(), {.precision = precision});
  ProgramObjective<T> full(model.program, batch.batch());
  std::vector<T> exact(static_cast<std::size_t>(layout.size));
  const double loss = full.gradient(theta, exact);
  const std::vector<double> wide(exact.begin(), exact.end());
  const GradientView gradient(layout, wide);
  if (gradient.squared_norm() == 0) {
    throw NumericError("gradient: the exact gradient is 0, so an estimate has nothing to be compared with");
  }

  NpzWriter& result = *outputs.result;
  result.add<T>("gradient", {layout.size}, exact);
  add_segments<T>(result, "gradient/", layout, exact);
  if (outputs.parameters) {
    add_segments<T>(*outputs.parameters, "", layout, theta.values());
    outputs.parameters->commit();
  } else if (!options.save_parameters.empty()) {
    const Network network =
        file ? file->network : make_network(spec_of(options), data.train.image_shape, target_of(data.train));
    save_weights<T>(options.save_parameters, layout, theta.values(), describe(network, data.train));
  }
  if (outputs.example) {
    add_example(*outputs.example, data.train, batch.batch());
    outputs.example->add<Index>("indices", {options.batch}, rows);
    outputs.example->commit();
  }

  EstimateSamples samples(layout.size);
  SlopeError error;
  std::shared_ptr<const Prediction> prediction;
  {
    Progress progress("gradient", static_cast<double>(options.learn + options.samples),
                      {.quiet = options.run.quiet, .unit = "estimates"});
    for (Index earlier = 0; earlier < options.learn; ++earlier) {
      check_interrupted("learning from earlier estimates");
      estimator->learn(estimator->estimate(objective, theta, static_cast<std::uint32_t>(options.samples + earlier)));
      progress.advance();
    }
    prediction = estimator->prediction(objective, theta);
    const std::vector<double> expected = prediction->mean(gradient);
    std::vector<T> dense(static_cast<std::size_t>(layout.size));
    for (Index sample = 0; sample < options.samples; ++sample) {
      check_interrupted("estimating the gradient");
      const auto step = static_cast<std::uint32_t>(sample);
      const GradientEstimate estimate = estimator->estimate(objective, theta, step);
      if (low && !estimate.slopes().empty())
        error.add(estimate.slopes(), estimator->estimate(full, theta, step).slopes());
      estimate.materialize(dense);
      if (sample == 0) result.add<T>("estimate", {layout.size}, dense);
      samples.add<T>(estimate, dense, gradient, expected);
      progress.advance();
    }
  }

  const Index tangents = static_cast<Index>(samples.slopes.size()) / options.samples;
  std::vector<double> entries(wide.size());
  result.add<double>("mean", {layout.size}, samples.entries.means());
  for (std::size_t i = 0; i < entries.size(); ++i) entries[i] = samples.entries.entry(i).variance();
  result.add<double>("variance", {layout.size}, entries);
  result.add<double>("predicted_variance", {layout.size}, prediction->entry_variances(gradient));
  result.add<double>("slopes", {options.samples, tangents}, samples.slopes);
  result.add<double>("cosines", {options.samples}, samples.cosines);
  result.add<double>("losses", {options.samples}, samples.losses);
  add_scalar(result, "loss", loss);
  add_scalar(result, "predicted_mean_factor", prediction->mean_factor(gradient));
  add_scalar(result, "seed", static_cast<Index>(options.run.seed));
  result.commit();

  Summary summary{.parameters = layout.size, .loss = loss, .data = data.train.name};
  if (estimator->slopes() + estimator->losses() > 0) summary.law = options.estimate.law;
  // Slopes of activities are taken for each example.
  const Index each = tangents > 0 || estimator->slopes() == 0 ? tangents : estimator->slopes() * options.batch;
  summary.figures = gradient_figures(samples, gradient, *prediction, each);
  if (low && tangents > 0) summary.figures.push_back(error.figure());
  return summary;
}

void require_what_fits(const GradientOptions& options, const Settings& settings) {
  const std::string& estimator = options.estimator;
  const bool exact = estimator == "exact", by_losses = takes_losses_alone(estimator),
             activities = estimator == "activities";
  const auto only = [&](bool holds, std::initializer_list<const char*> names, const char* condition) {
    for (const char* name : names) require_unused_unless(holds, settings.at(name), condition);
  };
  if (in_safetensors(options.save_parameters) && options.precision == "float64") {
    throw ArgumentError(
        fmt::format("--save-parameters: expected a name that ends in .npz with --precision float64, as networks in "
                    "safetensors are float32, found {}",
                    options.save_parameters));
  }
  const bool file = is_onnx(options.model);
  only(!file && !named_network(options.model).hidden.empty(), {"hidden"}, "a model with hidden layers");
  if (!file) refuse_onnx_settings(settings);
  only(by_losses, {"epsilon"}, "--estimator central or one-sided");
  only(!exact, {"tangents"}, "an estimator that takes tangents");
  if (!exact && !activities && options.estimate.tangents < 1)
    throw ArgumentError("--tangents: expected at least 1 for tangents of weights");
  if (by_losses && options.precision == "bf16") {
    throw ArgumentError(
        "--precision bf16: expected an estimator that takes slopes; rounding hides differences of losses");
  }
  only(!exact && !by_losses && options.precision == "float32", {"tangent-precision"},
       "--precision float32 and an estimator that takes slopes");
  only(!exact && estimator != "frame", {"law"}, "an estimator that leaves the law open");
  only(activities, {"prior", "correction", "one-by-one", "estimated-head", "block-group", "look-ahead"},
       "--estimator activities");
  only(!exact && !activities && !by_losses, {"exact-head"}, "an estimator along tangents of weights");
  only(!exact && !activities, {"clip-slope", "tangent-storage"}, "an estimator along tangents of weights");
}

}  // namespace

Verb gradient_verb() {
  const auto options = std::make_shared<GradientOptions>();
  Verb verb{.settings = Settings("gradient"),
            .summary = "Write one gradient, exact and estimated, as .npz for other tools to check"};
  Settings& settings = verb.settings;
  constexpr SettingTraits kRare{.rare = true};
  settings.begin("What is looked at");
  add_data_options(settings, options->data);
  settings.add("batch", options->batch, whole(1, 1'000'000'000),
               "Images: the first of a seeded shuffle of the training set");
  settings.add("model", options->model, text_like("NAME", network_names()), "Model, or the ONNX file of one");
  settings.add("hidden", options->hidden, whole(1, 1'000'000), "Units of the hidden layers",
               {.otherwise = "the model's own"});
  settings.add("initial", options->parameters, text("FILE"),
               "Weights to start from, .safetensors or .npz, as train and --save-parameters write them",
               {.otherwise = "drawn from the seed"});
  add_onnx_settings(settings, options->onnx, &options->data);
  settings.begin("How it is estimated");
  settings.add(
      "estimator", options->estimator,
      one_of(estimator_names(), {{"backprop", "exact"}, {"backpropagation", "exact"}, {"activations", "activities"}}),
      "Estimator");
  settings.add("law", options->law, one_of(probe_names()), "Law of the tangents",
               {.otherwise = "gaussian; rademacher for activities, rank-one for input-span"});
  settings.add("rank", options->estimate.law_options.rank, whole(1, 1024),
               "Columns of the factors of low-rank tangents", kRare);
  settings.add("tangents", options->estimate.tangents, whole(0, 1'000'000),
               "Tangents per estimate; 0: activities' prior alone, with --correction none");
  settings.add("samples", options->samples, whole(1, 1'000'000'000), "Estimates, each with tangents of its own");
  settings.add("learn", options->learn, whole(0, 1'000'000'000),
               "Estimates before them, for an estimator that learns from estimates");
  settings.add("prior", options->estimate.activity.prior, one_of(activity_prior_names()),
               "What activities' gradients are expected to be");
  settings.add("correction", options->correction, one_of({"full", "gated", "none"}),
               "How much of what slopes find beside the prior is added", kRare);
  settings.add("block-group", options->estimate.activity.group, whole(1, 1'000'000),
               "residual: blocks that are taken back together", kRare);
  settings.add("look-ahead", options->estimate.activity.ahead, whole(0, 1'000'000),
               "residual: groups above a group that its gradient is taken back through first; with --tangents 0",
               kRare);
  settings.flag("one-by-one", options->one_by_one, "activities: perturb the layers one by one", kRare);
  settings.flag("exact-head", options->exact_head,
                "The last layer's gradient exact, as in training (activities: always)", kRare);
  settings.add("exact-blocks", options->exact_blocks, whole(-1, 1'000'000),
               "Of the last N blocks, and of what follows them, the gradient is exact; -1: none");
  settings.flag("estimated-head", options->estimated_head, "activities: estimate the last layer's gradient too", kRare);
  settings.add("clip-slope", options->clip_slope, number(0, 1e30), "Largest slope of weights; 0: any", kRare);
  settings.add("epsilon", options->estimate.epsilon, number(1e-12, 1e3),
               "Step of differences of losses, in units of a tangent", kRare);
  settings.add("precision", options->precision, one_of({"float32", "float64", "bf16"}),
               "Type of the numbers computed with; bf16: float32, but for the factors of products with weights", kRare);
  settings.add("tangent-precision", options->tangent_precision, one_of({"float32", "bf16"}),
               "Factors of the products that carry tangents; bf16 needs a processor that has it", kRare);
  add_storage_option(settings, options->estimate.storage, kRare);
  settings.begin("What is written");
  settings.add("out", options->out, text("FILE"), "Result: gradient, estimate, mean, variance, slopes, ...",
               {.letter = 'o'});
  settings.add("save-parameters", options->save_parameters, text("FILE"),
               "Also write the weights, as .npz or .safetensors");
  settings.add("example", options->example, text("FILE"), "Also write the batch's images and labels");
  settings.flag("json", options->json, "Print the summary as JSON, not as a table");
  settings.begin("");
  add_run_options(settings, options->run);
  verb.examples = {
      "slopewise gradient --law rank-one",
      "slopewise gradient --model mlp --estimator activities --prior feedback --learn 400",
      "slopewise gradient --model logistic --tangents 16 --save-parameters weights.npz --example batch.npz"};
  verb.run = [options](Settings& given) {
    require_what_fits(*options, given);
    const bool activities = options->estimator == "activities";
    options->estimate.law = options->estimator == "frame"        ? "frame"
                            : !options->law.empty()              ? options->law
                            : activities                         ? "rademacher"
                            : options->estimator == "input-span" ? "rank-one"
                                                                 : "gaussian";
    options->estimate.exact_head = activities ? !options->estimated_head : options->exact_head;
    if (options->exact_blocks >= 0) {
      if (!activities) options->estimate.exact_head.reset();
      options->estimate.exact_blocks = options->exact_blocks;
    }
    options->estimate.activity.together = !options->one_by_one;
    options->estimate.activity.correction = options->correction == "full"    ? Correction::kFull
                                            : options->correction == "gated" ? Correction::kGated
                                                                             : Correction::kNone;
    if (options->clip_slope > 0) options->estimate.clip_slope = options->clip_slope;
    options->estimate.seed = options->run.seed;

    apply(options->run);
    Outputs outputs(*options);
    const Summary summary =
        options->precision == "float64" ? measure<double>(*options, outputs) : measure<float>(*options, outputs);
    if (options->json) {
      std::cout << json_summary(*options, summary).dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                << '\n';
    } else if (!options->run.quiet) {
      std::cout << table_text(*options, summary);
    }
    return 0;
  };
  return verb;
}

}  // namespace slopewise
