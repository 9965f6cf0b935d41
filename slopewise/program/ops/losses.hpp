// Losses of one example.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

// −log softmax(logits)[label], fused and stable: logits (classes), label () -> (). Throws ArgumentError at run time for
// a label outside [0, classes). With a smoothing ε in [0, 1) the target is (1 − ε) of the label and ε/classes of each
// class (Szegedy et al. 2016, arXiv 1512.00567, section 7).
Node cross_entropy(const Node& logits, const Node& label, double smoothing = 0);

// Mean of (x − target)² over all entries: -> ().
Node mean_squared_error(const Node& x, const Node& target);

}  // namespace slopewise
