// Functions of one number, entry by entry.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node exp(const Node& x);
Node log(const Node& x);
Node sqrt(const Node& x);
Node square(const Node& x);

}  // namespace slopewise
