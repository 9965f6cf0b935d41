// Sums over axes.
#pragma once

#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

// Over the axes given, which disappear; over all axes where none is given.
Node sum(const Node& x, std::vector<Index> axes = {});
Node mean(const Node& x, std::vector<Index> axes = {});

}  // namespace slopewise
