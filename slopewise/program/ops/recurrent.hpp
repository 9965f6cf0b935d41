// Recurrent networks (ops/recurrent.cpp), as ONNX defines them, in one direction.
#pragma once

#include <optional>

#include "slopewise/program/graph.hpp"

namespace slopewise {

struct RecurrentOptions {
  std::optional<Node> initial_hidden, initial_cell;  // (hidden), shared or one an example; none: 0
  bool linear_before_reset = false;                  // gru: h̃ = tanh(Wx + r ∘ (Rh + b)), as in PyTorch
  bool relu = false;                                 // rnn: in place of tanh
};

// Over x (T, in), with weight (G hidden, in), recurrent (G hidden, hidden), both shared by all examples, and, if any,
// bias (2 G hidden): what is added to Wx, then what is added to Rh. Nothing is kept of a step but its states.
//
// LSTM (Hochreiter and Schmidhuber 1997), G = 4, gates in the order i o f c: c′ = f c + i c̃, h′ = o tanh c′.
// -> (T, 2 hidden): h and then c after each step.
Node lstm(const Node& x, const Node& weight, const Node& recurrent, const std::optional<Node>& bias = {},
          const RecurrentOptions& options = {});
// GRU (Cho et al. 2014, arXiv 1406.1078), G = 3, gates in the order z r h: h′ = (1 − z) h̃ + z h. -> (T, hidden).
Node gru(const Node& x, const Node& weight, const Node& recurrent, const std::optional<Node>& bias = {},
         const RecurrentOptions& options = {});
// h′ = tanh(Wx + Rh + b). -> (T, hidden).
Node rnn(const Node& x, const Node& weight, const Node& recurrent, const std::optional<Node>& bias = {},
         const RecurrentOptions& options = {});

}  // namespace slopewise
