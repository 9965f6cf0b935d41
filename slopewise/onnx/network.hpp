// A model from an ONNX file as a network that can be trained and judged like those of this library.
#pragma once

#include <memory>
#include <vector>

#include "slopewise/data/dataset.hpp"
#include "slopewise/model/network.hpp"
#include "slopewise/onnx/loss.hpp"

namespace slopewise {

struct OnnxNetwork {
  std::shared_ptr<const OnnxModel> model;
  // One block, end to end, whose activities are those that its products with weights make; it starts from the weights
  // of the file, and adapters from the seed. Its description names the file and the options.
  Network network;
};

// The activities of a model's program: the nodes that products with weights make, trained or not, but for the last,
// whose gradient the loss gives.
ActivitySites onnx_sites(const OnnxProgram& model);

// Throws as load_onnx and onnx_program do.
OnnxNetwork onnx_network(const std::filesystem::path& file, const OnnxOptions& options, const OnnxLossOptions& loss);

// The same of a model that was loaded with these options.
OnnxNetwork onnx_network(std::shared_ptr<const OnnxModel> model, const OnnxOptions& options,
                         const OnnxLossOptions& loss);
// The tops of a model that was loaded with these options: its last layer, then the head and up to `most_blocks` blocks,
// of what trains of them. Left out is what it does not have, where nothing trains, and what is all that trains.
std::vector<NetworkTop> onnx_tops(const OnnxModel& model, const OnnxOptions& options, const OnnxLossOptions& loss,
                                  Index most_blocks);
// What such a model reads and answers: a set of no examples (LoadOptions::like).
Dataset data_of(const OnnxModel& model, const OnnxLossOptions& loss);

// Whether a network's description is one of these, and the network again. Throws ArgumentError for a text that says
// something else, and as onnx_network does.
bool describes_onnx(const std::string& description);
OnnxNetwork onnx_network(const std::string& description);

}  // namespace slopewise
