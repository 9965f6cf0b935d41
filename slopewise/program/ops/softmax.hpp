// Softmax over the last axis.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node softmax(const Node& x);
Node log_softmax(const Node& x);

}  // namespace slopewise
