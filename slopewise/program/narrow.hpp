// Work that nobody reads, left out.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

// The same value, within rounding, by less work: where a slice of one value leads to the output by one path (a class
// token, the last position), it moves up through ops that act on each position alone (Op::narrowed), as far as nobody
// else reads more. So the last block of a transformer makes queries, output and MLP for that position only. The node
// itself where there is nothing to leave out.
Node narrowed(const Node& output);

}  // namespace slopewise
