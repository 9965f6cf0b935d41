#include "slopewise/tensor/exponential.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/support.hpp"

namespace slopewise {
namespace {

template <class T>
class ExpShifted : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(ExpShifted, Types);

// Any number of entries, so that whole registers and what is left of them are met; down to where exp is 0.
TYPED_TEST(ExpShifted, IsExpToTwoUnitsInTheLastPlaceAndTheirSum) {
  using T = TypeParam;
  for (Index n = 0; n < 40; ++n) {
    std::vector<T> x = random_vector<T>(n, 1 + static_cast<std::uint64_t>(n), -80, 0);
    const T shift = T{-0.5};
    double sum = 0;
    std::vector<long double> expected;
    for (const T number : x) {
      expected.push_back(std::exp(static_cast<long double>(number + shift)));
      sum += static_cast<double>(expected.back());
    }
    const T found = exp_shifted(x.data(), n, shift);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto unit = static_cast<long double>(std::numeric_limits<T>::epsilon()) * expected[i];
      EXPECT_LE(std::abs(static_cast<long double>(x[i]) - expected[i]), 2 * unit) << n << " " << i;
    }
    EXPECT_NEAR(static_cast<double>(found), sum, 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) * sum);
  }
}

TYPED_TEST(ExpShifted, OfInfinityIsZeroAndOfNaNIsNaN) {
  using T = TypeParam;
  constexpr T kInfinity = std::numeric_limits<T>::infinity(), kNaN = std::numeric_limits<T>::quiet_NaN();
  for (const Index n : {3, 40}) {
    std::vector<T> x(static_cast<std::size_t>(n), -kInfinity);
    x[1] = T{2};
    EXPECT_EQ(exp_shifted(x.data(), n, T{-2}), T{1});
    EXPECT_EQ(x[0], T{0});
    EXPECT_EQ(x[1], T{1});
    x[2] = kNaN;
    EXPECT_TRUE(std::isnan(exp_shifted(x.data(), n, T{-2})));
    EXPECT_TRUE(std::isnan(x[2]));
  }
}

}  // namespace
}  // namespace slopewise
