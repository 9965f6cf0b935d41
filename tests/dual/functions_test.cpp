// Every rule against central differences of the same function, its second derivative by nesting, its value against
// <cmath>, identities at random points, and the choices made at singular points.
#include "slopewise/dual/functions.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "slopewise/base/philox.hpp"

namespace {

using slopewise::Dual;
using D1 = Dual<double, 1>;
using D2 = Dual<double, 2>;
using DD = Dual<D1, 1>;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// A function of one argument in the three number types, with points inside its domain.
struct Unary {
  std::string name;
  std::function<double(double)> value;
  std::function<D1(D1)> dual;
  std::function<DD(DD)> nested;
  std::vector<double> points;
};

void PrintTo(const Unary& unary, std::ostream* out) {
  *out << unary.name;
}

// `using namespace std` brings in what generic user code would name with `using std::f`; like that code, the table
// stands outside namespace slopewise.
#define UNARY(name, expression, ...)              \
  Unary {                                         \
    name,                                         \
        [](double x) {                            \
          using namespace std;                    \
          return static_cast<double>(expression); \
        },                                        \
        [](D1 x) {                                \
          using namespace std;                    \
          return D1(expression);                  \
        },                                        \
        [](DD x) {                                \
          using namespace std;                    \
          return DD(expression);                  \
        },                                        \
    {                                             \
      __VA_ARGS__                                 \
    }                                             \
  }

std::vector<Unary> unary_functions() {
  return {
      UNARY("abs", abs(x), -1.5, 0.3, 7.0),
      UNARY("fabs", fabs(x), -1.5, 0.3, 7.0),
      UNARY("floor", floor(x), -1.5, 0.3, 7.7),
      UNARY("ceil", ceil(x), -1.5, 0.3, 7.7),
      UNARY("round", round(x), -1.4, 0.3, 7.7),
      UNARY("trunc", trunc(x), -1.5, 0.3, 7.7),
      UNARY("sqrt", sqrt(x), 0.1, 1.0, 50.0),
      UNARY("cbrt", cbrt(x), -8.0, 0.1, 1.0, 50.0),
      UNARY("exp", exp(x), -3.0, 0.0, 2.5),
      UNARY("exp2", exp2(x), -3.0, 0.0, 2.5),
      UNARY("expm1", expm1(x), -3.0, 0.0, 2.5),
      UNARY("log", log(x), 0.1, 1.0, 50.0),
      UNARY("log2", log2(x), 0.1, 1.0, 50.0),
      UNARY("log10", log10(x), 0.1, 1.0, 50.0),
      UNARY("log1p", log1p(x), -0.5, 0.0, 5.0),
      UNARY("sin", sin(x), -2.0, 0.0, 1.0, 9.0),
      UNARY("cos", cos(x), -2.0, 0.0, 1.0, 9.0),
      UNARY("tan", tan(x), -1.0, 0.0, 0.7, 2.5),
      UNARY("asin", asin(x), -0.8, 0.0, 0.6),
      UNARY("acos", acos(x), -0.8, 0.0, 0.6),
      UNARY("atan", atan(x), -3.0, 0.0, 0.6, 12.0),
      UNARY("sinh", sinh(x), -2.0, 0.0, 1.0),
      UNARY("cosh", cosh(x), -2.0, 0.0, 1.0),
      UNARY("tanh", tanh(x), -2.0, 0.0, 1.0),
      UNARY("asinh", asinh(x), -2.0, 0.0, 1.0, 30.0),
      UNARY("acosh", acosh(x), 1.2, 2.0, 30.0),
      UNARY("atanh", atanh(x), -0.8, 0.0, 0.6),
      UNARY("erf", erf(x), -1.5, 0.0, 0.7),
      UNARY("erfc", erfc(x), -1.5, 0.0, 0.7),
      UNARY("lgamma", lgamma(x), -1.3, 0.3, 2.5, 30.0),
      UNARY("tgamma", tgamma(x), -1.3, 0.3, 2.5, 9.0),
      UNARY("lerp(x, 3, x^2)", lerp(x, 3, x * x), -2.0, 0.5, 3.0),
      UNARY("lerp(1, x, 1/4)", lerp(1.0, x, 0.25), -2.0, 0.5, 3.0),
      UNARY("lerp(2, 3, x)", lerp(2, 3, x), -2.0, 0.0, 1.0),
      UNARY("x^2.5", pow(x, 2.5), 0.3, 1.0, 4.0),
      UNARY("x^3", pow(x, 3), -2.0, 0.5, 4.0),
      UNARY("x^-2", pow(x, -2), -2.0, 0.5, 4.0),
      UNARY("x^0", pow(x, 0), -2.0, 0.5, 4.0),
      UNARY("2.5^x", pow(2.5, x), -2.0, 0.0, 3.0),
      UNARY("3^x", pow(3, x), -2.0, 0.0, 3.0),
      UNARY("x^x", pow(x, x), 0.3, 1.0, 3.0),
      UNARY("x^sin(x)", pow(x, sin(x)), 0.3, 1.0, 3.0),
      UNARY("atan2(x, 2)", atan2(x, 2), -3.0, 0.0, 3.0),
      UNARY("atan2(2, x)", atan2(2.0f, x), -3.0, 0.0, 3.0),
      UNARY("atan2(sin x, x)", atan2(sin(x), x * x - 3), -3.0, 0.5, 2.0),
      UNARY("hypot(x, 3)", hypot(x, 3), -4.0, 0.0, 4.0),
      UNARY("hypot(3, x)", hypot(3.0, x), -4.0, 0.0, 4.0),
      UNARY("hypot(x, exp x)", hypot(x, exp(x)), -4.0, 0.0, 1.0),
      UNARY("hypot(x, 2, exp x)", hypot(x, 2, exp(x)), -4.0, 0.0, 1.0),
      UNARY("hypot(1, exp x, x)", hypot(1.0, exp(x), x), -4.0, 0.0, 1.0),
      UNARY("fmin(x, 1/x)", fmin(x, 1 / x), 0.3, 3.0),
      UNARY("fmax(x, 1/x)", fmax(x, 1 / x), 0.3, 3.0),
      UNARY("fmax(x, 1/2)", fmax(x, 0.5f), -2.0, 3.0),
      UNARY("fmin(1/2, x)", fmin(0.5, x), -2.0, 3.0),
      UNARY("fmod(x, 3)", fmod(x, 3), -7.5, 1.0, 100.5),
      UNARY("fmod(20, x)", fmod(20, x), -7.5, 1.5, 6.3),
      UNARY("fmod(x^3, x)", fmod(x * x * x, x), 1.3, 2.5, 4.7),
      UNARY("copysign(x^2, -x)", copysign(x * x, -x), -2.0, 3.0),
      UNARY("copysign(2, x)", copysign(2, x), -2.0, 3.0),
      UNARY("copysign(x, -1)", copysign(x, -1.0), -2.0, 3.0),
      UNARY("fma(x, x^2, 2)", fma(x, x * x, 2), -2.0, 3.0),
      UNARY("fma(2, x, x^2)", fma(2, x, x * x), -2.0, 3.0),
  };
}
#undef UNARY

double central_difference(const std::function<double(double)>& f, double x, double step) {
  return (f(x + step) - f(x - step)) / (2 * step);
}

class EveryFunction : public testing::TestWithParam<Unary> {};

TEST_P(EveryFunction, HasTheValueOfDouble) {
  const Unary& f = GetParam();
  for (const double x : f.points) {
    EXPECT_DOUBLE_EQ(f.dual(D1(x, 1.0)).value, f.value(x)) << "at " << x;
    EXPECT_DOUBLE_EQ(f.nested(DD(D1(x, 1.0), D1(1.0, 0.0))).value.value, f.value(x)) << "at " << x;
  }
}

TEST_P(EveryFunction, HasTheSlopeOfCentralDifferences) {
  const Unary& f = GetParam();
  for (const double x : f.points) {
    // The best step is about ε^(1/3); truncation and rounding then leave about ε^(2/3) = 4e-11 of the derivatives'
    // scale.
    const double expected = central_difference(f.value, x, 6e-6);
    EXPECT_NEAR(f.dual(D1(x, 1.0)).tangent[0], expected, 1e-8 * (1 + std::abs(expected))) << "at " << x;
    EXPECT_NEAR(f.dual(D1(x, -2.5)).tangent[0], -2.5 * expected, 3e-8 * (1 + std::abs(expected))) << "at " << x;
  }
}

TEST_P(EveryFunction, HasTheSecondDerivativeOfItsSlope) {
  const Unary& f = GetParam();
  const auto slope = [&](double x) { return f.dual(D1(x, 1.0)).tangent[0]; };
  for (const double x : f.points) {
    const DD y = f.nested(DD(D1(x, 1.0), D1(1.0, 0.0)));
    EXPECT_DOUBLE_EQ(y.value.tangent[0], slope(x)) << "at " << x;
    EXPECT_DOUBLE_EQ(y.tangent[0].value, slope(x)) << "at " << x;
    const double expected = central_difference(slope, x, 6e-6);
    EXPECT_NEAR(y.tangent[0].tangent[0], expected, 1e-8 * (1 + std::abs(expected))) << "at " << x;
  }
}

TEST_P(EveryFunction, KeepsConstantsConstant) {
  const Unary& f = GetParam();
  for (const double x : f.points) EXPECT_EQ(f.dual(D1(x)).tangent[0], 0.0) << "at " << x;
}

// Outside the domain, at its edge, and beyond all numbers, a dual's value is what double gives.
TEST_P(EveryFunction, IsNaNOrInfiniteWhereDoubleIs) {
  const Unary& f = GetParam();
  for (const double x : {-kInf, -2.0, -1.0, -0.0, 0.0, 1.0, 2.0, kInf, kNaN}) {
    const double expected = f.value(x);
    const double found = f.dual(D1(x, 1.0)).value;
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(found)) << "at " << x << " found " << found;
    } else {
      EXPECT_DOUBLE_EQ(found, expected) << "at " << x;
      EXPECT_EQ(std::signbit(found), std::signbit(expected)) << "at " << x;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Functions, EveryFunction, testing::ValuesIn(unary_functions()),
                         [](const auto& function) { return "f" + std::to_string(function.index); });

// Identities hold for values and for all tangents, at random points with random tangents.
void expect_equal(const D2& a, const D2& b, double tolerance = 1e-12) {
  EXPECT_NEAR(a.value, b.value, tolerance * (1 + std::abs(b.value)));
  for (int k = 0; k < 2; ++k) EXPECT_NEAR(a.tangent[k], b.tangent[k], tolerance * (1 + std::abs(b.tangent[k])));
}

TEST(Functions, SatisfyTheirIdentities) {
  slopewise::RandomStream random(1);
  for (int trial = 0; trial < 1000; ++trial) {
    const auto draw = [&](double low, double high) {
      return D2(random.uniform(low, high), random.uniform(-1, 1), random.uniform(-1, 1));
    };
    const D2 x = draw(-3, 3), y = draw(-3, 3), p = draw(0.1, 4), q = draw(0.1, 4), u = draw(-0.9, 0.9);
    expect_equal(sin(x) * sin(x) + cos(x) * cos(x), 1);
    expect_equal(cosh(x) * cosh(x) - sinh(x) * sinh(x), 1, 1e-11);
    expect_equal(tanh(x), sinh(x) / cosh(x));
    expect_equal(sin(x + y), sin(x) * cos(y) + cos(x) * sin(y));
    expect_equal(exp(log(p)), p);
    expect_equal(log(exp(x)), x);
    expect_equal(exp(x + y), exp(x) * exp(y), 1e-11);
    expect_equal(log1p(expm1(x)), x);
    expect_equal(exp2(log2(p)), p);
    expect_equal(log10(pow(10, x)), x);
    expect_equal(sqrt(p) * sqrt(p), p);
    expect_equal(cbrt(p) * cbrt(p) * cbrt(p), p);
    expect_equal(pow(p, q), exp(q * log(p)), 1e-11);
    expect_equal(pow(p, 0.5), sqrt(p));
    expect_equal(pow(x, 3), x * x * x, 1e-11);
    expect_equal(pow(p, x) * pow(p, y), pow(p, x + y), 1e-10);
    expect_equal(sin(asin(u)), u);
    expect_equal(cos(acos(u)), u);
    expect_equal(tan(atan(x)), x);
    expect_equal(sinh(asinh(x)), x);
    expect_equal(cosh(acosh(1 + p)), 1 + p);
    expect_equal(tanh(atanh(u)), u);
    expect_equal(asin(u) + acos(u), D2(std::acos(0.0)));
    expect_equal(erf(x) + erfc(x), 1);
    expect_equal(hypot(x, p), sqrt(x * x + p * p));
    expect_equal(hypot(x, y, p), sqrt(x * x + y * y + p * p));
    expect_equal(hypot(x, p) * sin(atan2(x, p)), x);
    expect_equal(hypot(x, p) * cos(atan2(p, x)), x);
    expect_equal(fmax(x, y) + fmin(x, y), x + y);
    expect_equal(fmax(x, -x), abs(x));
    expect_equal(x - fmod(x, p), p * trunc(x / p), 1e-11);
    expect_equal(fma(x, y, p), x * y + p);
    expect_equal(x / y * y, x, 1e-8);
  }
}

TEST(Functions, SecondDerivativesMatchClosedForms) {
  const double a = 0.7, b = 1.3;
  // ∂²/∂a∂b by nesting two different directions.
  const DD x(D1(a, 1.0), D1(0.0, 0.0)), y(D1(b, 0.0), D1(1.0, 0.0));
  EXPECT_DOUBLE_EQ((x * sin(x * y)).tangent[0].tangent[0], 2 * a * std::cos(a * b) - a * a * b * std::sin(a * b));
  EXPECT_DOUBLE_EQ(pow(x, y).tangent[0].tangent[0], std::pow(a, b - 1) * (1 + b * std::log(a)));
  const double r = std::hypot(a, b);
  EXPECT_DOUBLE_EQ(hypot(x, y).tangent[0].tangent[0], -a * b / (r * r * r));
  EXPECT_DOUBLE_EQ(atan2(y, x).tangent[0].tangent[0], (b * b - a * a) / (r * r * r * r));
  // Three levels: exp‴ = exp.
  using DDD = Dual<DD, 1>;
  const DDD z(DD(D1(a, 1.0), D1(1.0, 0.0)), DD(D1(1.0, 0.0), D1(0.0, 0.0)));
  EXPECT_DOUBLE_EQ(exp(z).tangent[0].tangent[0].tangent[0], std::exp(a));
  EXPECT_DOUBLE_EQ(pow(z, 4).tangent[0].tangent[0].tangent[0], 24 * a);
}

TEST(Functions, TypesArePromotedToTheDual) {
  const Dual<float, 2> x(2.0f, 1.0f, 0.0f);
  static_assert(std::same_as<decltype(pow(x, 2)), Dual<float, 2>>);
  static_assert(std::same_as<decltype(hypot(1, x, 2.0)), Dual<float, 2>>);
  static_assert(std::same_as<decltype(fma(1, x, 2.0)), Dual<float, 2>>);
  static_assert(std::same_as<decltype(atan2(D1(), DD())), DD>);
  EXPECT_EQ(pow(x, 3).tangent[0], 12.0f);
}

TEST(Functions, ClassifyByValue) {
  EXPECT_TRUE(isnan(D1(kNaN, 1.0)) && isinf(D1(-kInf)) && isfinite(D1(1.0, kInf)) && signbit(DD(-0.0)));
  EXPECT_FALSE(isnan(D1(1.0, kNaN)) || isinf(D1(1.0, kInf)) || isfinite(D1(kInf)) || signbit(D1(0.0, -1.0)));
}

// The choices at singular points, for a tangent that varies (D1::variable); a zero tangent stays zero in all of them.
TEST(SingularPoints, InfiniteSlopes) {
  const D1 zero = D1::variable(0), one = D1::variable(1), minus_one = D1::variable(-1);
  EXPECT_EQ(sqrt(zero).tangent[0], kInf);
  EXPECT_EQ(cbrt(zero).tangent[0], kInf);
  EXPECT_EQ(log(zero).tangent[0], kInf);
  EXPECT_EQ(log2(zero).tangent[0], kInf);
  EXPECT_EQ(log10(zero).tangent[0], kInf);
  EXPECT_EQ(log1p(minus_one).tangent[0], kInf);
  EXPECT_EQ(asin(one).tangent[0], kInf);
  EXPECT_EQ(asin(minus_one).tangent[0], kInf);
  EXPECT_EQ(acos(one).tangent[0], -kInf);
  EXPECT_EQ(acos(minus_one).tangent[0], -kInf);
  EXPECT_EQ(acosh(one).tangent[0], kInf);
  EXPECT_EQ(atanh(one).tangent[0], kInf);
  EXPECT_EQ(atanh(minus_one).tangent[0], kInf);
}

// −0 is 0 seen from the other side, where these functions have no slope.
TEST(SingularPoints, MinusZeroIsZero) {
  const D1 zero = D1::variable(-0.0);
  EXPECT_EQ(sqrt(zero).tangent[0], kInf);
  EXPECT_EQ(log(zero).tangent[0], kInf);
  EXPECT_EQ(log2(zero).tangent[0], kInf);
  EXPECT_EQ(log10(zero).tangent[0], kInf);
}

TEST(SingularPoints, NoValueNoSlope) {
  EXPECT_TRUE(std::isnan(log(D1::variable(-1)).tangent[0]));
  EXPECT_TRUE(std::isnan(acosh(D1::variable(-2)).tangent[0]));
  EXPECT_TRUE(std::isnan(atanh(D1::variable(2)).tangent[0]));
}

TEST(SingularPoints, ZeroTangentsStayZero) {
  const D2 zero(0.0, 1.0, 0.0);
  EXPECT_EQ(sqrt(zero).tangent[0], kInf);
  EXPECT_EQ(sqrt(zero).tangent[1], 0.0);
  EXPECT_EQ(log(D1(0)).tangent[0], 0.0);
  EXPECT_EQ(acos(D1(1)).tangent[0], 0.0);
  EXPECT_EQ(pow(D1(0), 0.5).tangent[0], 0.0);
  EXPECT_EQ(pow(D1(-2), D1(2)).tangent[0], 0.0);
  EXPECT_EQ(atan2(D1(0), D1(0)).tangent[0], 0.0);
  EXPECT_EQ(sqrt(DD(0)).tangent[0].tangent[0], 0.0);
  EXPECT_EQ(fma(D1(kInf), D1(2), D1(0.0, 1.0)).tangent[0], 1.0);
  // The slope itself is inf or NaN, and is not looked at.
  EXPECT_EQ(log(DD(D1(0.0, 1.0), D1(1.0, 0.0))).tangent[0].tangent[0], -kInf);
}

TEST(SingularPoints, KinksTakeTheMiddle) {
  const D1 zero = D1::variable(0);
  EXPECT_EQ(abs(zero).tangent[0], 0.0);
  EXPECT_EQ(fabs(zero).tangent[0], 0.0);
  EXPECT_EQ(copysign(zero, 1.0).tangent[0], 0.0);
  EXPECT_EQ(hypot(zero, zero).tangent[0], 0.0);
  EXPECT_EQ(hypot(zero, 0.0).value, 0.0);
  EXPECT_EQ(hypot(zero, zero, zero).tangent[0], 0.0);
}

TEST(SingularPoints, StepsAreFlat) {
  for (const double x : {-0.5, 0.0, 0.5, 1.0}) {
    const D1 at = D1::variable(x);
    EXPECT_EQ(floor(at).tangent[0] + ceil(at).tangent[0] + round(at).tangent[0] + trunc(at).tangent[0], 0.0);
  }
}

TEST(SingularPoints, TiesTakeTheFirst) {
  const D1 a(2.0, 3.0), b(2.0, 5.0);
  EXPECT_EQ(fmax(a, b).tangent[0], 3.0);
  EXPECT_EQ(fmax(b, a).tangent[0], 5.0);
  EXPECT_EQ(fmin(a, b).tangent[0], 3.0);
  EXPECT_EQ(fmax(2.0, b).tangent[0], 0.0);
  EXPECT_EQ(fmax(D1(kNaN, 1.0), b).tangent[0], 5.0);
  EXPECT_EQ(fmin(b, D1(kNaN, 1.0)).tangent[0], 5.0);
}

TEST(SingularPoints, AngleAtTheOriginHasNoSlope) {
  EXPECT_TRUE(std::isnan(atan2(D1::variable(0), D1::variable(0)).tangent[0]));
}

TEST(SingularPoints, NothingOverflowsEarly) {
  EXPECT_DOUBLE_EQ(hypot(D1::variable(3e200), 4e200).tangent[0], 0.6);
  EXPECT_DOUBLE_EQ(atan2(D1::variable(3e200), 4e200).tangent[0], 4e200 / 5e200 / 5e200);
  EXPECT_DOUBLE_EQ(atan2(D1::variable(3e-200), 4e-200).tangent[0], 4e-200 / 5e-200 / 5e-200);
  EXPECT_DOUBLE_EQ(expm1(D1::variable(-50)).tangent[0], std::exp(-50.0));
}

TEST(SingularPoints, PowerOfZero) {
  const D1 zero = D1::variable(0);
  EXPECT_EQ(pow(zero, 0).value, 1.0);
  EXPECT_EQ(pow(zero, 0).tangent[0], 0.0);
  EXPECT_EQ(pow(zero, 0.5).tangent[0], kInf);
  EXPECT_EQ(pow(zero, 1).tangent[0], 1.0);
  EXPECT_EQ(pow(zero, 2).tangent[0], 0.0);
  EXPECT_EQ(pow(zero, -1).value, kInf);
  EXPECT_EQ(pow(zero, -1).tangent[0], -kInf);
  EXPECT_EQ(pow(0, D1::variable(2)).tangent[0], 0.0);
  EXPECT_EQ(pow(0.0, D1::variable(0)).value, 1.0);
  EXPECT_EQ(pow(0.0, D1::variable(0)).tangent[0], -kInf);
  EXPECT_EQ(pow(0.0, D1::variable(-1)).tangent[0], -kInf);
  EXPECT_EQ(pow(zero, D1(2.0, 1.0)).tangent[0], 0.0);
  EXPECT_EQ(pow(zero, D1(1.0, 1.0)).tangent[0], 1.0);
  // (x²)″ = 2 even at 0.
  EXPECT_EQ(pow(DD(D1(0.0, 1.0), D1(1.0, 0.0)), 2).tangent[0].tangent[0], 2.0);
}

TEST(SingularPoints, PowerOfANegative) {
  EXPECT_EQ(pow(D1::variable(-2), 3).tangent[0], 12.0);
  EXPECT_TRUE(std::isnan(pow(D1::variable(-2), 0.5).value));
  EXPECT_TRUE(std::isnan(pow(-2.0, D1::variable(3)).tangent[0]));
  EXPECT_EQ(pow(-2.0, D1::variable(3)).value, -8.0);
  EXPECT_EQ(pow(D1::variable(-2), D1(3)).tangent[0], 12.0);
}

}  // namespace
