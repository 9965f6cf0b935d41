// Pooling.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

// Windows of x (height, width, channels): -> (height', width', channels); stride 0 means the window's size.
Node max_pool(const Node& x, Index window, Index stride = 0);
Node average_pool(const Node& x, Index window, Index stride = 0);

}  // namespace slopewise
