// Networks people use, by name, for every verb; and models of one program, ended by the cross entropy of the labels.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/model/chain.hpp"

namespace slopewise {

// "logistic": multinomial logistic regression. "mlp": 256 and 256 units with ReLU; "mlp-256", "mlp-1024" (twice), and
// "deep-64x512": others. "cnn": PyTorch's MNIST example without its dropout: 3×3 convolutions to 32 and 64 channels
// with ReLU, 2×2 max pooling, 128 units with ReLU; 28×28×1 has 1,199,882 parameters. "baydin-cnn": Baydin et al. 2022
// (arXiv 2202.08587, section 5.2.2): four 3×3 convolutions of 64 channels with ReLU, 2×2 max pooling after the second
// and fourth, 1024 units with ReLU. "mixer": a small MLP-Mixer.
const std::vector<std::string>& network_names();
std::string_view network_summary(std::string_view name);
// Throws ArgumentError, naming the nearest, for an unknown name.
NetworkSpec named_network(std::string_view name);

struct Model {
  Program program;  // inputs, in order: "image" and "label", or "target" for numbers
  Index logits;     // the node (classes) before the loss
  ActivitySites sites;
};

// The network as one program. `image` is (height, width, channels), or (inputs) where the first layer is linear. He
// initialisation. Throws ArgumentError for a spec that does not fit, ShapeError for an image that does not.
Model make_model(const NetworkSpec& spec, const Shape& image, NetworkTarget target);
// The same of the networks of these names.
Model logistic(Index inputs, Index classes);
Model mlp(Index inputs, std::span<const Index> hidden, Index classes);

}  // namespace slopewise
