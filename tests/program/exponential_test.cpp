#include "slopewise/program/ops/exponential.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace slopewise {
namespace {

// |found − e^x| in units in the last place of e^x as a float.
double units(float found, double expected) {
  const auto nearest = static_cast<float>(expected);
  const double unit = std::nextafter(nearest, std::numeric_limits<float>::infinity()) - static_cast<double>(nearest);
  return std::abs(static_cast<double>(found) - expected) / unit;
}

// One float of every 997, and all near the ends of the range, through a loop as ops have it.
TEST(Exponential, IsThatOfTheDefinition) {
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 997)
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  for (const float end : {-103.97F, -87.34F, 88.72F, 0.0F}) {
    float below = end, above = end;
    for (int i = 0; i < 2000; ++i) {
      x.push_back(below = std::nextafter(below, -1000.0F));
      x.push_back(above = std::nextafter(above, 1000.0F));
    }
  }
  std::vector<float> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = exponential(x[i]);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(static_cast<double>(x[i]));
    if (std::isnan(x[i])) {
      ASSERT_TRUE(std::isnan(y[i])) << std::bit_cast<std::uint32_t>(x[i]);
    } else if (std::isinf(static_cast<float>(expected))) {
      ASSERT_EQ(y[i], std::numeric_limits<float>::infinity()) << x[i];
    } else {
      worst = std::max(worst, units(y[i], expected));
    }
  }
  EXPECT_LE(worst, 1.5);
}

TEST(Exponential, OfWiderTypesIsTheLibrarys) {
  EXPECT_EQ(exponential(-1.25), std::exp(-1.25));
}

}  // namespace
}  // namespace slopewise
