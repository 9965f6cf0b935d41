// Functions of one number, entry by entry.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node neg(const Node& x);
Node abs(const Node& x);
Node sign(const Node& x);  // −1, 0 or 1; like the three below without slope
Node floor(const Node& x);
Node ceil(const Node& x);
Node round(const Node& x);  // halves to even
Node reciprocal(const Node& x);
Node exp(const Node& x);
Node log(const Node& x);
Node sqrt(const Node& x);
Node square(const Node& x);
Node erf(const Node& x);

Node sin(const Node& x);
Node cos(const Node& x);
Node tan(const Node& x);
Node asin(const Node& x);
Node acos(const Node& x);
Node atan(const Node& x);
Node sinh(const Node& x);
Node cosh(const Node& x);
Node asinh(const Node& x);
Node acosh(const Node& x);
Node atanh(const Node& x);

}  // namespace slopewise
