// Entries that move.
#pragma once

#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node reshape(const Node& x, Shape shape);
Node flatten(const Node& x);  // (…) -> (size)
// Axis i of the result is axis order[i] of x.
Node transpose(const Node& x, std::vector<Index> order);
Node concatenate(const std::vector<Node>& parts, Index axis);
// Entries [begin, end) of one axis.
Node slice(const Node& x, Index axis, Index begin, Index end);

}  // namespace slopewise
