// What the tests of several rooms share: random numbers, and bounds for random outcomes.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "slopewise/base/philox.hpp"
#include "slopewise/base/shape.hpp"

namespace slopewise {

// Entries uniform in [low, high).
template <class T>
std::vector<T> random_vector(Index count, std::uint64_t seed, double low = -1, double high = 1) {
  RandomStream random(seed);
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& value : values) value = static_cast<T>(random.uniform(low, high));
  return values;
}

template <class T>
double inner_product(std::span<const T> a, std::span<const double> b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += static_cast<double>(a[i]) * b[i];
  return total;
}

// The rounding of a sum of `terms` products of numbers below 1, in any order.
template <class T>
double rounding(Index terms) {
  return static_cast<double>(terms + 4) * std::numeric_limits<T>::epsilon();
}

// A normal deviate exceeds this once in 1.2e10 times: 10,000 comparisons fail by chance less than once in 1.2e6 runs.
inline constexpr double kSigmas = 6.5;

// Whether a random outcome of standard error `error` agrees with what was expected; `floor` allows for rounding.
inline testing::AssertionResult agrees(double found, double expected, double error, double floor = 0) {
  const double bound = kSigmas * error + floor;
  if (std::abs(found - expected) <= bound) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "found " << found << ", expected " << expected << " ± " << bound << " ("
                                     << (found - expected) / error << " standard errors)";
}

}  // namespace slopewise
