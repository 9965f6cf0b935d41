// A trained network and the data it is used on: what `slopewise evaluate` and `slopewise predict` share.
#pragma once

#include <string>

#include "apps/onnx_options.hpp"
#include "slopewise/train/trained_network.hpp"

namespace slopewise {

struct TrainedOptions {
  std::string run;  // its directory, a file of weights, or an ONNX file
  OnnxSettings onnx;
  DataOptions data;
  RunOptions run_options;
  std::string set = "test";
};

// Adds the run, the data and which set of it, and what all runs take.
void add_trained_options(Settings& settings, TrainedOptions& options);

// The network that the options name: a trained one, or the model in an ONNX file as it is. Throws as TrainedNetwork and
// open_onnx do; `given` says which options were.
TrainedNetwork open_network(const TrainedOptions& options, const Settings& given);

// The set that the options name, read as the network's training data were. Without --data it is the run's own data,
// with the options of the run, whose config.toml lies beside the weights; `given` says which options were. Throws as
// load_data does, and ArgumentError where neither says which data, or where an option would change the run's.
Dataset data_for(const TrainedNetwork& network, const TrainedOptions& options, const Settings& given,
                 bool labels_needed);

}  // namespace slopewise
