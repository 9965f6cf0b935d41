#include "apps/train/task.hpp"

#include "slopewise/data/rotate.hpp"
#include "slopewise/train/evaluation.hpp"

namespace slopewise {

std::optional<OnnxNetwork> open_model(const TrainOptions& options) {
  if (!is_onnx(options.model)) return {};
  return open_onnx(options.model, options.onnx, options.settings.network.label_smoothing);
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

}  // namespace slopewise
