// Patterns of nodes that exporters write for one operation, found again and put in its place.
#pragma once

#include <map>
#include <string>

#include "slopewise/onnx/graph.hpp"

namespace slopewise {

// Replaces them by nodes of the domain "slopewise": MatMul and Add by Linear, a dozen nodes by LayerNorm, RmsNorm, Gelu
// or Silu, products around a softmax by Attention. Returns how many of each were found. The program is the same within
// rounding (tests/onnx/fusions_test.cpp).
std::map<std::string, int> fuse(OnnxGraph& graph);

}  // namespace slopewise
