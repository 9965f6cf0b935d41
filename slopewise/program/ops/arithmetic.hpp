// Two numbers entry by entry: equal shapes, or the shape of b is the end of the shape of a.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node add(const Node& a, const Node& b);
Node sub(const Node& a, const Node& b);
Node mul(const Node& a, const Node& b);
Node scale(const Node& x, double factor);

inline Node operator+(const Node& a, const Node& b) {
  return add(a, b);
}
inline Node operator-(const Node& a, const Node& b) {
  return sub(a, b);
}
inline Node operator*(const Node& a, const Node& b) {
  return mul(a, b);
}
inline Node operator*(double factor, const Node& x) {
  return scale(x, factor);
}

}  // namespace slopewise
