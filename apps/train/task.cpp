#include "apps/train/task.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/data/rotate.hpp"
#include "slopewise/program/stream.hpp"
#include "slopewise/train/evaluation.hpp"
#include "slopewise/train/trainer.hpp"

namespace slopewise {

std::optional<OnnxNetwork> open_model(const TrainOptions& options) {
  if (!is_onnx(options.model)) return {};
  OnnxSettings onnx = options.onnx;
  // With the exact gradient they say what trains.
  if (options.method == "exact" && options.exact_blocks >= 0) onnx.blocks = options.exact_blocks;
  return open_onnx(options.model, onnx, options.settings.network.label_smoothing);
}

DataSplit load_data(const TrainOptions& options, const std::optional<OnnxNetwork>& model) {
  DataSplit data = model ? load_data(options.data, options.run.seed,
                                     data_of(*model->model, onnx_loss_options(options.onnx)), DataUse::kTrainFile)
                         : load_data(options.data, options.run.seed);
  if (options.rotate != 0) {
    rotate_images(data.train, options.rotate);
    rotate_images(data.test, options.rotate);
  }
  return data;
}

Network network_of(const TrainSettings& settings, const DataSplit& data, const std::optional<OnnxNetwork>& model) {
  if (model) return model->network;
  return make_network(settings.network, data.train.image_shape, target_of(data.train));
}

Index blocks_within(TrainOptions options, TrainSettings settings, const DataSplit& data) {
  const auto step_bytes = [&](Index blocks) {
    options.exact_blocks = blocks;
    settings.method.options.exact_blocks = blocks;
    return Trainer(settings, data, network_of(settings, data, open_model(options))).step_bytes();
  };
  options.exact_blocks = -1;
  const Network whole = network_of(settings, data, open_model(options));
  const ChainBlock& network = whole.training.front();
  const Stream stream = find_stream(*network.program, network.sites.logits);
  if (stream.cuts.empty()) throw ArgumentError("--memory: expected a model with hidden layers");
  Index least = 0;
  for (Index blocks = stream.blocks(); blocks >= 0; --blocks) {
    least = step_bytes(blocks);
    if (least <= options.memory) return blocks;
  }
  throw ArgumentError(fmt::format(
      "--memory: expected at least the {} bytes of a step whose head alone is exact, found {}", least, options.memory));
}

}  // namespace slopewise
