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

struct MatMulOptions {
  bool transpose_a = false, transpose_b = false;  // the last two axes, read as they lie
};
// a (…, m, k) times b (…, k, n): -> (…, m, n). Leading axes are broadcast as NumPy does: equal, 1 or absent.
Node matmul(const Node& a, const Node& b, MatMulOptions options = {});

// Rows of `table` (count, width) picked by integers (…), or by numbers, which are rounded and have no slope:
// -> (…, width). Throws ArgumentError at run time for an index outside [0, count).
Node embedding(const Node& indices, const Node& table);
// The same with a new parameter "embeddingN.weight" (standard normal).
Node embedding(const Node& indices, Index count, Index width);

}  // namespace slopewise
