// Linear maps with weights: a source each of the same name.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

// y = W x + b over the last axis: x (…, in), W (out, in), b (out) -> (…, out). W must be shared by all examples.
Node linear(const Node& x, const Node& weight, const Node& bias);
Node linear(const Node& x, const Node& weight);
// The same with new parameters "linearN.weight" (`gain` times He 2015 initialisation) and, unless `bias` is false,
// "linearN.bias".
Node linear(const Node& x, Index outputs, bool bias = true, double gain = 1);
// a (m, k) times b (k, n), each one matrix an example or one shared.
Node matmul(const Node& a, const Node& b);

struct Conv2dOptions {
  Index stride = 1;
  Index padding = 0;  // zeros added on every side
};
// Cross-correlation, as in PyTorch, on x (height, width, in) with weight (out, kernel, kernel, in) and bias (out):
// -> (height', width', out), height' = (height + 2 padding − kernel) / stride + 1.
Node conv2d(const Node& x, const Node& weight, const Node& bias, Conv2dOptions options = {});
// The same with new parameters "conv2dN.weight" (`gain` times He 2015) and "conv2dN.bias".
Node conv2d(const Node& x, Index outputs, Index kernel, Conv2dOptions options = {}, double gain = 1);

// Rows of `table` (count, width) picked by integers (…): -> (…, width). Throws ArgumentError at run time for an index
// outside [0, count).
Node embedding(const Node& indices, const Node& table);
// The same with a new parameter "embeddingN.weight" (standard normal).
Node embedding(const Node& indices, Index count, Index width);

}  // namespace slopewise
