// Comparisons and choices, broadcast as in ops/arithmetic.hpp. Truth is a number: 1 or 0 as a result, true for anything
// but 0 as an input. Where a comparison jumps there is no slope, and elsewhere it is 0: none is carried.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node equal(const Node& a, const Node& b);
Node greater(const Node& a, const Node& b);
Node less(const Node& a, const Node& b);
Node greater_equal(const Node& a, const Node& b);
Node less_equal(const Node& a, const Node& b);
Node logical_and(const Node& a, const Node& b);
Node logical_or(const Node& a, const Node& b);
Node logical_xor(const Node& a, const Node& b);
Node logical_not(const Node& x);
// a where the condition is true, b elsewhere.
Node where(const Node& condition, const Node& a, const Node& b);

}  // namespace slopewise
