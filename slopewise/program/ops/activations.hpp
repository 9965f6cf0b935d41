// What networks put after a linear map, entry by entry.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

// Smooth units.
Node gelu(const Node& x);       // x Φ(x), exact
Node gelu_tanh(const Node& x);  // its tanh approximation, Hendrycks and Gimpel 2016
Node tanh(const Node& x);
Node sigmoid(const Node& x);
Node softplus(const Node& x);
Node silu(const Node& x);      // x sigmoid(x), also called swish
Node mish(const Node& x);      // x tanh(softplus(x)), Misra 2019 (arXiv 1908.08681)
Node softsign(const Node& x);  // x / (1 + |x|)

// Units of pieces; what their slopes are where pieces meet stands beside their rules.
Node relu(const Node& x);
Node leaky_relu(const Node& x, double negative_slope = 0.01);
Node prelu(const Node& x, const Node& slope);            // slope x below 0; the slope is broadcast
Node thresholded_relu(const Node& x, double alpha = 1);  // 0 up to alpha
Node clip(const Node& x, double low, double high);       // throws ArgumentError unless low <= high
Node hard_sigmoid(const Node& x, double alpha = 0.2, double beta = 0.5);
Node hard_swish(const Node& x);  // x clip(x + 3, 0, 6) / 6
Node shrink(const Node& x, double threshold = 0.5, double bias = 0);
Node elu(const Node& x, double alpha = 1);   // alpha (e^x − 1) below 0
Node celu(const Node& x, double alpha = 1);  // alpha (e^(x/alpha) − 1) below 0
// gamma elu(x, alpha), Klambauer et al. 2017 (arXiv 1706.02515).
Node selu(const Node& x, double alpha = 1.6732632423543772, double gamma = 1.0507009873554805);

// x with each entry zero with probability `rate` in [0, 1) and the others divided by 1 − rate (Srivastava et al. 2014).
// `noise` () holds a number for each example: which entries stay is a pure function of it and of the place in the
// program. All stay, as they are, where it is negative.
Node dropout(const Node& x, const Node& noise, double rate);

}  // namespace slopewise
