// Softmax along an axis.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node softmax(const Node& x, Index axis = -1);
Node log_softmax(const Node& x, Index axis = -1);

}  // namespace slopewise
