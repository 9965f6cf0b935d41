// Losses of one example.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

struct CrossEntropyOptions {
  // ε in [0, 1): the target is (1 − ε) of the label and ε/classes of each class (Szegedy et al. 2016, arXiv 1512.00567,
  // section 7).
  double smoothing = 0;
  // Positions with this label do not count.
  std::optional<std::int32_t> ignored = std::nullopt;
  // One for each class, from 0 on; none: all are 1. A position's loss is Σ over the classes of weight × target × −log
  // p.
  std::vector<double> class_weights = {};
};

// −log softmax(logits)[label], fused and stable: logits (…, classes), label (…) -> (). With several positions an
// example, its mean over those of the example that count, each with the weight of its label: Σ loss / Σ weight; 0 where
// there is none. Throws ArgumentError at run time for a label outside [0, classes) that is not the ignored one.
Node cross_entropy(const Node& logits, const Node& label, const CrossEntropyOptions& options);
Node cross_entropy(const Node& logits, const Node& label, double smoothing = 0);

// Mean of (x − target)² over all entries: -> ().
Node mean_squared_error(const Node& x, const Node& target);
// Mean of h(x − target) over all entries, with h(d) = d²/2 up to |d| = delta and delta (|d| − delta/2) beyond: -> ().
Node huber(const Node& x, const Node& target, double delta = 1);
// Mean of log(1 + e^x) − target x over all entries, the cross entropy of sigmoid(x) for targets in [0, 1], stable: ->
// ().
Node binary_cross_entropy(const Node& logits, const Node& target);

}  // namespace slopewise
