// Two numbers entry by entry, broadcast by NumPy's rule: shapes are aligned at their ends, and an axis of one entry, or
// one that is missing, is repeated.
#pragma once

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node add(const Node& a, const Node& b);
Node sub(const Node& a, const Node& b);
Node mul(const Node& a, const Node& b);
Node div(const Node& a, const Node& b);
// A tie gives half of the slope to each.
Node minimum(const Node& a, const Node& b);
Node maximum(const Node& a, const Node& b);
// a^b, with 0^0 = 1. An exponent that varies needs a ≥ 0; one that is held also serves a < 0, if it is whole.
Node pow(const Node& a, const Node& b);
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
inline Node operator/(const Node& a, const Node& b) {
  return div(a, b);
}
inline Node operator*(double factor, const Node& x) {
  return scale(x, factor);
}

}  // namespace slopewise
