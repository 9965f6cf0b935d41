// The ops a program is made of. Each takes and returns nodes; shapes are those of one example.
// Every function throws ShapeError, naming the op and the shapes, where they do not fit.
#pragma once

#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

// --- linear maps with weights (ops/linear.cpp, ops/matmul.cpp, ops/conv2d.cpp, ops/embedding.cpp)

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

// --- arithmetic (ops/arithmetic.cpp): equal shapes, or the shape of b is the end of the shape of a

Node add(const Node& a, const Node& b);
Node sub(const Node& a, const Node& b);
Node mul(const Node& a, const Node& b);
Node scale(const Node& x, double factor);

inline Node operator+(const Node& a, const Node& b) {
  return add(a, b);
}
inline Node operator-(const Node& a, const Node& b) {
  return sub(a, b);
}
inline Node operator*(const Node& a, const Node& b) {
  return mul(a, b);
}
inline Node operator*(double factor, const Node& x) {
  return scale(x, factor);
}

// --- entry by entry (ops/elementwise.cpp, ops/dropout.cpp)

Node relu(const Node& x);
Node leaky_relu(const Node& x, double negative_slope = 0.01);
Node gelu(const Node& x);       // x Φ(x), exact
Node gelu_tanh(const Node& x);  // its tanh approximation, Hendrycks and Gimpel 2016
Node tanh(const Node& x);
Node sigmoid(const Node& x);
Node softplus(const Node& x);
Node exp(const Node& x);
Node log(const Node& x);
Node sqrt(const Node& x);
Node square(const Node& x);

// x with each entry zero with probability `rate` in [0, 1) and the others divided by 1 − rate (Srivastava et al. 2014).
// `noise` () holds a number for each example: which entries stay is a pure function of it and of the place in the
// program. All stay, as they are, where it is negative.
Node dropout(const Node& x, const Node& noise, double rate);

// --- over the last axis (ops/softmax.cpp, ops/normalize.cpp)

Node softmax(const Node& x);
Node log_softmax(const Node& x);
// −log softmax(logits)[label], fused and stable: logits (classes), label () -> (). Throws ArgumentError at run time for
// a label outside [0, classes). With a smoothing ε in [0, 1) the target is (1 − ε) of the label and ε/classes of each
// class (Szegedy et al. 2016, arXiv 1512.00567, section 7).
Node cross_entropy(const Node& logits, const Node& label, double smoothing = 0);
// (x − mean) / √(variance + epsilon), without gain and bias.
Node normalize(const Node& x, double epsilon = 1e-5);
// Layer norm (Ba, Kiros, Hinton 2016): normalize, times a new gain "layer_normN.weight" (ones), plus
// "layer_normN.bias".
Node layer_norm(const Node& x, double epsilon = 1e-5);

// Mean of (x − target)² over all entries: -> ().
Node mean_squared_error(const Node& x, const Node& target);

// --- sums and pooling (ops/reduce.cpp, ops/pool.cpp)

// Over the axes given, which disappear; over all axes where none is given.
Node sum(const Node& x, std::vector<Index> axes = {});
Node mean(const Node& x, std::vector<Index> axes = {});
// Windows of x (height, width, channels): -> (height', width', channels); stride 0 means the window's size.
Node max_pool(const Node& x, Index window, Index stride = 0);
Node average_pool(const Node& x, Index window, Index stride = 0);

// --- layout (ops/layout.cpp)

Node reshape(const Node& x, Shape shape);
Node flatten(const Node& x);  // (…) -> (size)
// Axis i of the result is axis order[i] of x.
Node transpose(const Node& x, std::vector<Index> order);
Node concatenate(const std::vector<Node>& parts, Index axis);
// Entries [begin, end) of one axis.
Node slice(const Node& x, Index axis, Index begin, Index end);

}  // namespace slopewise
