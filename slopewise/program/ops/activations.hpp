// What networks put after a linear map, entry by entry.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node relu(const Node& x);
Node leaky_relu(const Node& x, double negative_slope = 0.01);
Node gelu(const Node& x);       // x Φ(x), exact
Node gelu_tanh(const Node& x);  // its tanh approximation, Hendrycks and Gimpel 2016
Node tanh(const Node& x);
Node sigmoid(const Node& x);
Node softplus(const Node& x);

// x with each entry zero with probability `rate` in [0, 1) and the others divided by 1 − rate (Srivastava et al. 2014).
// `noise` () holds a number for each example: which entries stay is a pure function of it and of the place in the
// program. All stay, as they are, where it is negative.
Node dropout(const Node& x, const Node& noise, double rate);

}  // namespace slopewise
