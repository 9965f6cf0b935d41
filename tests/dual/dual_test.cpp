// The number type itself: construction, comparison, arithmetic with duals and with built-in numbers.
#include "slopewise/dual/dual.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <sstream>
#include <vector>

namespace slopewise {
namespace {

using D1 = Dual<double, 1>;
using D2 = Dual<double, 2>;
using DD = Dual<D1, 1>;

template <class T, int K>
constexpr bool same(const Dual<T, K>& a, const Dual<T, K>& b) {
  for (int k = 0; k < K; ++k) {
    if (a.tangent[k] != b.tangent[k]) return false;
  }
  return a.value == b.value;
}

// x² + 3x with x = 2 + ε: everything that needs no <cmath> is usable at compile time.
constexpr D1 polynomial(D1 x) {
  return x * x + 3 * x;
}
static_assert(same(polynomial(D1::variable(2)), D1(10, 7)));
static_assert(same(D2(1.0, 2.0, 3.0) / 2, D2(0.5, 1.0, 1.5)));
static_assert(same(1 / D1(2.0, 1.0), D1(0.5, -0.25)));
static_assert(same(D2(6.0, 1.0, 0.0) / D2(2.0, 0.0, 1.0), D2(3.0, 0.5, -1.5)));
static_assert(same(-(+D1(2.0, 1.0)) - 1, D1(-3.0, -1.0)));
static_assert(D1::variable(2) > 1 && 1 < D1::variable(2) && D1(2.0, 5.0) == 2 && D1(2.0, 5.0) != D1(1.0, 5.0));
static_assert(D1(2.0, 5.0) == D1(2.0, -1.0), "comparisons look at values only");
static_assert(polynomial(D1::variable(2)).kTangents == 1);
static_assert(sizeof(Dual<float, 7>) == 8 * sizeof(float), "no padding");
static_assert(std::is_trivially_copyable_v<D2>);
static_assert(!std::convertible_to<D1, double>, "a dual must not lose its tangents silently");
static_assert(static_cast<double>(D1(2.5, 1.0)) == 2.5 && static_cast<int>(DD(D1(2.5))) == 2, "but may be asked to");

// What does not vary has no slope, be it beside an infinity or over a zero; what does vary keeps its own.
TEST(Dual, AZeroTangentAddsNothing) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const D2 x(2.0, 1.0, 0.0), infinite(kInf, 0.0, 0.0);
  const auto expect = [](const D2& found, double value, double first, double second) {
    EXPECT_TRUE(same(found, D2(value, first, second))) << found;
  };
  expect(infinite * x, kInf, kInf, 0);
  expect(x * infinite, kInf, kInf, 0);
  expect(x * kInf, kInf, kInf, 0);
  expect(infinite / x, kInf, -kInf, 0);
  expect(kInf / x, kInf, -kInf, 0);
  expect(x / 0, kInf, kInf, 0);
  expect(x / D2(0), kInf, kInf, 0);
  expect(x / 5e-324, kInf, kInf, 0);
  expect(D2(0.0, 1e-310, 0.0) / D2(4e-310), 0, 0.25, 0);
  expect(2 / D2(0.0, 1.0, 0.0), kInf, -kInf, 0);
  const D1 one = D1(kInf, 0.0) * D1(2.0, 0.0);
  EXPECT_TRUE(same(one, D1(kInf, 0.0)));
  // One level down: the product's slope along the outer tangent is inf, and does not vary.
  const DD nested = DD(D1(kInf)) * DD(D1(2.0), D1(1.0));
  EXPECT_EQ(nested.tangent[0].value, kInf);
  EXPECT_EQ(nested.tangent[0].tangent[0], 0.0);
  EXPECT_TRUE(std::isnan((D2(0.0, 1.0, 0.0) * D2(1.0, kInf, 0.0)).tangent[0])) << "0 · inf of what varies stays open";
}

TEST(Dual, DefaultAndConstantsHaveZeroTangents) {
  EXPECT_TRUE(same(D2(), D2(0.0, 0.0, 0.0)));
  const D2 three = 3;
  EXPECT_TRUE(same(three, D2(3.0, 0.0, 0.0)));
  const DD nested = 3;
  EXPECT_TRUE(same(nested, DD(D1(3.0, 0.0), D1(0.0, 0.0))));
  EXPECT_TRUE(same(D2::variable(4, 1), D2(4.0, 0.0, 1.0)));
}

// Every operator with every kind of number keeps the dual's type and agrees with the dual constant.
template <class D, class S>
void expect_mixed_arithmetic(const D& a, const S& s) {
  const D c(s);
  static_assert(std::same_as<decltype(a + s), D> && std::same_as<decltype(s + a), D>);
  static_assert(std::same_as<decltype(a * s), D> && std::same_as<decltype(s / a), D>);
  EXPECT_TRUE(same(a + s, a + c));
  EXPECT_TRUE(same(s + a, c + a));
  EXPECT_TRUE(same(a - s, a - c));
  EXPECT_TRUE(same(s - a, c - a));
  EXPECT_TRUE(same(a * s, a * c));
  EXPECT_TRUE(same(s * a, c * a));
  EXPECT_TRUE(same(a / s, a / c));
  EXPECT_TRUE(same(s / a, c / a));
  D sum = a;
  sum += s;
  sum -= s;
  sum *= s;
  sum /= s;
  EXPECT_TRUE(same(sum, a));
  EXPECT_EQ(a < s, a < c);
  EXPECT_EQ(s <= a, c <= a);
  EXPECT_EQ(a == s, a == c);
}

TEST(Dual, MixesWithBuiltInNumbers) {
  const D2 a(8.0, 1.0, -2.0);
  expect_mixed_arithmetic(a, 2);
  expect_mixed_arithmetic(a, 2u);
  expect_mixed_arithmetic(a, std::size_t{4});
  expect_mixed_arithmetic(a, 2.0f);
  expect_mixed_arithmetic(a, 2.0);
  expect_mixed_arithmetic(a, 8.0);
  expect_mixed_arithmetic(Dual<float, 3>(4.0f, 1.0f, 2.0f, 3.0f), 2.0);
  const DD nested(D1(8.0, 1.0), D1(1.0, 0.0));
  expect_mixed_arithmetic(nested, 2);
  expect_mixed_arithmetic(nested, 2.0);
  expect_mixed_arithmetic(nested, D1(2.0, 0.0));
}

TEST(Dual, ConstantsBesideInnerDualsKeepTheirTangents) {
  const DD x(D1(3.0, 1.0), D1(1.0, 0.0));
  const DD y = D1(2.0, 5.0) * x;  // an inner dual is a constant for the outer direction only
  EXPECT_TRUE(same(y.value, D1(6.0, 17.0)));
  EXPECT_TRUE(same(y.tangent[0], D1(2.0, 5.0)));
}

TEST(Dual, CompoundAssignmentMayAlias) {
  D1 a(3.0, 1.0);
  a *= a;
  EXPECT_TRUE(same(a, D1(9.0, 6.0)));
  a /= a;
  EXPECT_TRUE(same(a, D1(1.0, 0.0)));
  a -= a;
  EXPECT_TRUE(same(a, D1(0.0, 0.0)));
}

TEST(Dual, OrdersAsItsValue) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(D1(nan) < 1.0 || D1(nan) > 1.0 || D1(nan) == D1(nan));
  std::vector<D1> numbers = {D1(3.0, 1.0), D1(1.0, 2.0), D1(2.0, 3.0)};
  std::ranges::sort(numbers, std::less<>{});
  EXPECT_TRUE(same(numbers[0], D1(1.0, 2.0)) && same(numbers[2], D1(3.0, 1.0)));
  EXPECT_TRUE(same(std::max(D1(2.0, 1.0), D1(2.0, 7.0)), D1(2.0, 1.0))) << "a tie takes the first";
  EXPECT_TRUE(same(std::min(D1(2.0, 1.0), D1(2.0, 7.0)), D1(2.0, 1.0))) << "a tie takes the first";
  EXPECT_TRUE(same(std::clamp(D1(5.0, 1.0), D1(0.0), D1(4.0)), D1(4.0, 0.0)));
  EXPECT_LT(DD(1), 2);
}

TEST(Dual, DivisionByZeroIsThatOfDouble) {
  EXPECT_EQ((1.0 / D1(0.0, 1.0)).value, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan((D1(0.0, 1.0) / D1(0.0, 1.0)).value));
}

TEST(Dual, NestedCarriesSecondDerivatives) {
  // x³ at 2 along 1: 8, 12, 12.
  const DD x(D1(2.0, 1.0), D1(1.0, 0.0));
  const DD y = x * x * x;
  EXPECT_EQ(y.value.value, 8.0);
  EXPECT_EQ(y.value.tangent[0], 12.0);
  EXPECT_EQ(y.tangent[0].value, 12.0);
  EXPECT_EQ(y.tangent[0].tangent[0], 12.0);
  // 1/x at 2: 1/2, −1/4, 1/4; as s / b and as a / b.
  for (const DD& inverse : {1 / x, DD(1) / x, x / (x * x)}) {
    EXPECT_EQ(inverse.value.value, 0.5);
    EXPECT_EQ(inverse.value.tangent[0], -0.25);
    EXPECT_EQ(inverse.tangent[0].tangent[0], 0.25);
  }
}

TEST(Dual, LimitsAreThoseOfTheValue) {
  using Limits = std::numeric_limits<D2>;
  static_assert(Limits::is_specialized && Limits::digits == 53 && !Limits::is_integer);
  EXPECT_TRUE(same(Limits::max(), D2(std::numeric_limits<double>::max(), 0.0, 0.0)));
  EXPECT_EQ(Limits::lowest().value, -std::numeric_limits<double>::max());
  EXPECT_EQ(Limits::epsilon().value, std::numeric_limits<double>::epsilon());
  EXPECT_EQ(Limits::min().value, std::numeric_limits<double>::min());
  EXPECT_EQ(Limits::infinity().value, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(Limits::quiet_NaN().value));
}

TEST(Dual, Prints) {
  std::ostringstream out;
  out << D2(3.0, 1.0, -0.5) << "; " << D1(1.5, 2.0);
  EXPECT_EQ(out.str(), "3 + (1, -0.5)h; 1.5 + (2)h");
}

}  // namespace
}  // namespace slopewise
