// Normalization over the last axis.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

// (x − mean) / √(variance + epsilon), without gain and bias.
Node normalize(const Node& x, double epsilon = 1e-5);
// Layer norm (Ba, Kiros, Hinton 2016): normalize, times a new gain "layer_normN.weight" (ones), plus
// "layer_normN.bias".
Node layer_norm(const Node& x, double epsilon = 1e-5);

}  // namespace slopewise
