// What a rule gives beside the same in 113 bits, in units in the last place, at points over the whole range of a type.
#pragma once

#include <gtest/gtest.h>
#include <quadmath.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "slopewise/base/philox.hpp"

namespace slopewise {

__extension__ typedef __float128 Quad;

// |found − exact| in units in the last place of T at `exact`, which for subnormals are their spacing; at `term`,
// where that is larger: a sum whose terms cancel has their digits. A number too large for T is infinite in it; where
// `exact` is NaN, only NaN is right.
template <class T>
double ulps_off(T found, Quad exact, Quad term = 0) {
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  if (isnanq(exact)) return std::isnan(found) ? 0 : kWrong;
  const auto nearest = static_cast<T>(exact);
  if (found == nearest) return 0;
  if (!std::isfinite(found) || !std::isfinite(nearest)) return kWrong;
  const int exponent = std::max(ilogbq(fmaxq(fabsq(exact), fabsq(term))) + 1, std::numeric_limits<T>::min_exponent);
  return static_cast<double>(fabsq(found - exact) * scalbnq(1, std::numeric_limits<T>::digits - exponent));
}

// The worst of one thing over many points.
class Worst {
 public:
  template <class T>
  void take(T x, T found, Quad exact, Quad term = 0) {
    const double off = ulps_off(found, exact, term);
    if (off <= off_) return;
    off_ = off;
    x_ = static_cast<double>(x);
    found_ = static_cast<double>(found);
    exact_ = static_cast<double>(exact);
  }
  void expect_at_most(double limit, std::string_view rule, std::string_view what) const {
    EXPECT_LE(off_, limit) << what << " of " << rule << " at " << x_ << ": " << found_ << " where " << exact_
                           << " is right";
  }

 private:
  double off_ = 0, x_ = 0, found_ = 0, exact_ = 0;
};

// Points of both signs: every seventh binade down to the smallest subnormal, what lies beside ±1, the middle of the
// range densely, zeros, infinities.
template <class T>
std::vector<T> points_everywhere() {
  using Limits = std::numeric_limits<T>;
  RandomStream random(3);
  std::vector<T> magnitudes = {0, Limits::infinity(), Limits::max(), Limits::min(), Limits::denorm_min()};
  for (int e = Limits::min_exponent - Limits::digits; e < Limits::max_exponent; e += 7) {
    for (int i = 0; i < 2; ++i) magnitudes.push_back(std::ldexp(static_cast<T>(random.uniform(1, 2)), e));
  }
  for (int k = 0; k < Limits::digits; ++k) {
    magnitudes.push_back(1 + std::ldexp(T{1}, -k));
    magnitudes.push_back(1 - std::ldexp(T{1}, -k - 1));
  }
  for (const double most : {2, 40, 800}) {
    for (int i = 0; i < 200; ++i) magnitudes.push_back(static_cast<T>(random.uniform(0, most)));
  }
  std::vector<T> points;
  for (const T magnitude : magnitudes) {
    points.push_back(magnitude);
    points.push_back(-magnitude);
  }
  return points;
}

}  // namespace slopewise
