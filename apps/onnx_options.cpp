#include "apps/onnx_options.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "slopewise/base/error.hpp"

namespace slopewise {

bool is_onnx(const std::string& model) {
  return model.ends_with(".onnx");
}

namespace {

constexpr const char* kHeading = "An ONNX model";
constexpr const char* kCondition = "a model from an ONNX file";

void add_reading(Settings& settings, OnnxSettings& options, DataOptions* data) {
  settings.add("loss", options.loss, one_of(onnx_loss_names()), "What the model's output is held against");
  if (data) {
    settings.add("input", data->arrays, text("NAME=FILE:ARRAY"),
                 "In place of --data: the array of each of the model's inputs, and of label or target",
                 {.otherwise = "none"});
  }
  settings.add("extent", options.extents, text("NAME=N"), "Extent of an axis that the file leaves open",
               {.otherwise = "none"});
  settings.add("output", options.output, text("NAME"), "Output that is trained", {.otherwise = "the first"});
  settings.add("ignore-label", options.ignored, whole(std::numeric_limits<std::int32_t>::min(), 1 << 30),
               "Label of places that do not count", {.otherwise = "none", .rare = true});
  settings.flag("unfused", options.unfused, "Take the graph's nodes as they are", {.rare = true});
}

}  // namespace

void add_onnx_reading(Settings& settings, OnnxSettings& options, DataOptions* data) {
  settings.begin(kHeading, Part::kTask);
  add_reading(settings, options, data);
}

void add_onnx_settings(Settings& settings, OnnxSettings& options, DataOptions* data) {
  settings.begin(kHeading, Part::kTask);
  settings.add("train", options.train, text_like("WHAT", {"all", "head", "norms", "biases", "lora:8"}),
               "Weights that train: all, head, norms, biases, lora:RANK[:REGEX], or a regular expression of names",
               {.part = Part::kShared});
  add_reading(settings, options, data);
}

void refuse_onnx_reading(const Settings& given, const std::string& condition) {
  for (const char* name : {"loss", "extent", "output", "ignore-label", "unfused"})
    require_standard_unless(false, given.at(name), condition);
}

void refuse_onnx_settings(const Settings& given) {
  require_standard_unless(false, given.at("train"), kCondition);
  if (const Setting* inputs = given.find("input")) require_standard_unless(false, *inputs, kCondition);
  refuse_onnx_reading(given, kCondition);
}

OnnxOptions onnx_options(const OnnxSettings& settings) {
  OnnxOptions options{
      .train = settings.train, .blocks = settings.blocks, .output = settings.output, .fuse = !settings.unfused};
  for (const std::string& text : settings.extents) {
    const std::size_t equals = text.rfind('=');
    Index extent = 0;
    const char* end = text.data() + text.size();
    const bool parted = equals != std::string::npos && equals > 0;
    const auto read = parted ? std::from_chars(text.data() + equals + 1, end, extent)
                             : std::from_chars_result{end, std::errc::invalid_argument};
    if (read.ec != std::errc() || read.ptr != end || extent < 1)
      throw ArgumentError(fmt::format("--extent: expected NAME=N with N from 1 on, found '{}'", text));
    options.extents[text.substr(0, equals)] = extent;
  }
  return options;
}

OnnxLossOptions onnx_loss_options(const OnnxSettings& settings) {
  if (settings.ignored.size() > 1)
    throw ArgumentError(fmt::format("--ignore-label: expected one label, found {}", settings.ignored.size()));
  OnnxLossOptions loss{.kind = onnx_loss(settings.loss)};
  if (!settings.ignored.empty()) loss.ignored = static_cast<std::int32_t>(settings.ignored.front());
  return loss;
}

OnnxOptions training_options(const OnnxSettings& settings) {
  OnnxOptions options = onnx_options(settings);
  options.channels_last = true;
  return options;
}

OnnxNetwork open_onnx(const std::string& file, const OnnxSettings& settings, double label_smoothing) {
  OnnxLossOptions loss = onnx_loss_options(settings);
  loss.label_smoothing = label_smoothing;
  OnnxNetwork opened = onnx_network(file, training_options(settings), loss);
  require_training(*opened.model);
  return opened;
}

}  // namespace slopewise
