// Entries that move.
#pragma once

#include <optional>
#include <span>
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
// What an op is a slice of its input; nothing where it is no slice.
std::optional<Range> slice_range(const Op& op);
// Entry i of the result is entry index[i] of x, both counted row-major, or 0 where index[i] is −1: padding, tiling,
// reversal, picking by a table.
Node rearrange(const Node& x, Shape shape, std::span<const Index> index);
// Integers as numbers; they have no slope.
Node numbers(const Node& indices);

}  // namespace slopewise
