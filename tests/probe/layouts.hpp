// Layouts that the tests of probes use.
#pragma once

#include "slopewise/tensor/layout.hpp"

namespace slopewise {

// Two matrices with their biases and a vector between them, n = 28.
inline ParameterLayout small_layout() {
  ParameterLayout layout;
  layout.add_bias("first.bias", layout.add("first.weight", {3, 4}, {}, 3));
  layout.add("gain", {5}, {}, 5);
  layout.add_bias("second.bias", layout.add("second.weight", {2, 3}, {}, 2));
  return layout;
}

// The same kinds of segments, large enough to be cut among threads (n = 75,370), the vector first and one matrix
// without bias.
inline ParameterLayout large_layout() {
  ParameterLayout layout;
  layout.add("gain", {70}, {}, 70);
  layout.add_bias("first.bias", layout.add("first.weight", {300, 150}, {}, 300));
  layout.add("second.weight", {200, 150}, {}, 200);
  return layout;
}

}  // namespace slopewise
