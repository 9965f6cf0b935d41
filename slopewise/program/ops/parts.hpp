// Numbers held as the sum of two, for rules that would turn the rounding of an argument into an error of their value.
#pragma once

#include <cmath>

#include "slopewise/program/ops/exponential.hpp"

namespace slopewise {

// A number as the sum of two, of which the second is what rounding took from the first. exp and the like turn the
// rounding of a large argument into a relative error as large; the second part makes up for it.
template <class V>
struct Parts {
  V high, low;
};

template <class V>
Parts<V> product(V a, V b) {
  const V high = a * b;
  return {high, std::fma(a, b, -high)};
}
template <class V>
Parts<V> times(Parts<V> a, V b) {
  const V high = a.high * b;
  return {high, std::fma(a.high, b, -high) + a.low * b};
}
template <class V>
Parts<V> sum(Parts<V> a, Parts<V> b) {
  const V high = a.high + b.high;
  const V taken = high - a.high;
  return {high, (a.high - (high - taken)) + (b.high - taken) + (a.low + b.low)};
}
// A constant that is known to more digits than V has.
template <class V>
constexpr Parts<V> parts(long double constant) {
  return {static_cast<V>(constant), static_cast<V>(constant - static_cast<V>(constant))};
}
// e^−x.
template <class V>
V exp_minus(Parts<V> x) {
  const V power = exponential(-x.high);
  return power - power * x.low;
}

}  // namespace slopewise
