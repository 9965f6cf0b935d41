// What a training run is about: its data and the network that options name.
#pragma once

#include <optional>

#include "apps/onnx_options.hpp"
#include "apps/train/options.hpp"

namespace slopewise {

// The model where --model names a file. Throws as onnx_network does.
std::optional<OnnxNetwork> open_model(const TrainOptions& options);
// The data set, as that model or a network of a family reads it, rotated as the options say. Throws as load_data does.
DataSplit load_data(const TrainOptions& options, const std::optional<OnnxNetwork>& model);
// The most exact blocks with which a step is planned within --memory. Throws ArgumentError where not even the head
// fits.
Index blocks_within(TrainOptions options, TrainSettings settings, const DataSplit& data);
Network network_of(const TrainSettings& settings, const DataSplit& data, const std::optional<OnnxNetwork>& model);

}  // namespace slopewise
