// Every rule of a dual over the whole range of its type, beside closed forms in 113 bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/special_functions/polygamma.hpp>
#include <boost/multiprecision/float128.hpp>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/dual/functions.hpp"
#include "tests/accuracy.hpp"

namespace {

using slopewise::Dual;
using slopewise::Quad;
using slopewise::Worst;

struct Exact {
  Quad value, slope, curvature;
};
// In units in the last place.
struct Limits {
  double value = 4, slope = 4, second = 8;
};

template <class T>
struct Rule {
  using First = Dual<T, 1>;
  using Second = Dual<First, 1>;
  std::string name;
  std::function<Second(Second)> found;
  std::function<Exact(Quad)> exact;
  Limits limits;
};

// The C library's cbrt is off by up to 3 units, and the slope has it squared.
constexpr Limits kOfCbrt = {.slope = 8, .second = 16};
// Where the slope is subnormal, its rounding is multiplied by 2 x.
constexpr Limits kOfErf = {.second = 32};

// `using namespace std` brings in what generic user code would name with `using std::f`. Beside x, `y` stands for the
// value and `d` for the slope.
#define RULE(name, expression, exact_value, exact_slope, exact_curvature, limits) \
  Rule<T> {                                                                       \
    name,                                                                         \
        [](typename Rule<T>::Second x) {                                          \
          using namespace std;                                                    \
          return typename Rule<T>::Second(expression);                            \
        },                                                                        \
        [](Quad x) {                                                              \
          const Quad y = exact_value;                                             \
          const Quad d = exact_slope;                                             \
          const Quad c = exact_curvature;                                         \
          return Exact{y, d, c};                                                  \
        },                                                                        \
        limits                                                                    \
  }

template <class T>
std::vector<Rule<T>> rules() {
  return {
      RULE("sqrt", sqrt(x), sqrtq(x), 1 / fabsq(2 * y), -d / (2 * x), {}),
      RULE("cbrt", cbrt(x), cbrtq(x), 1 / (3 * y * y), -2 * d / (3 * x), kOfCbrt),
      RULE("exp", exp(x), expq(x), y, y, {}),
      RULE("exp2", exp2(x), powq(2, x), logq(2) * y, logq(2) * d, {}),
      RULE("expm1", expm1(x), expm1q(x), expq(x), d, {}),
      RULE("log", log(x), logq(x), 1 / x, -d * d, {}),
      RULE("log2", log2(x), log2q(x), 1 / (x * logq(2)), -d / x, {}),
      RULE("log10", log10(x), log10q(x), 1 / (x * logq(10)), -d / x, {}),
      RULE("log1p", log1p(x), log1pq(x), 1 / (1 + x), -d * d, {}),
      RULE("sin", sin(x), sinq(x), cosq(x), -y, {}),
      RULE("cos", cos(x), cosq(x), -sinq(x), -y, {}),
      RULE("tan", tan(x), tanq(x), 1 + y * y, 2 * y * d, {}),
      RULE("asin", asin(x), asinq(x), 1 / sqrtq((1 - x) * (1 + x)), x * d * d * d, {}),
      RULE("acos", acos(x), acosq(x), -1 / sqrtq((1 - x) * (1 + x)), x * d * d * d, {}),
      RULE("atan", atan(x), atanq(x), 1 / (1 + x * x), -2 * x * d * d, {}),
      RULE("sinh", sinh(x), sinhq(x), coshq(x), y, {}),
      RULE("cosh", cosh(x), coshq(x), sinhq(x), y, {}),
      RULE("tanh", tanh(x), tanhq(x), 1 / (coshq(x) * coshq(x)), -2 * y * d, {}),
      RULE("asinh", asinh(x), asinhq(x), 1 / sqrtq(1 + x * x), -x * d * d * d, {}),
      RULE("acosh", acosh(x), acoshq(x), 1 / sqrtq((x - 1) * (x + 1)), -x * d * d * d, {}),
      RULE("atanh", atanh(x), atanhq(x), 1 / ((1 - x) * (1 + x)), 2 * x * d * d, {}),
      RULE("erf", erf(x), erfq(x), 2 / sqrtq((4 * atanq(1))) * expq(-x * x), -2 * x * d, kOfErf),
      RULE("erfc", erfc(x), erfcq(x), -2 / sqrtq((4 * atanq(1))) * expq(-x * x), -2 * x * d, kOfErf),
      RULE("x^2", pow(x, 2), x * x, 2 * x, 2, {}),
      RULE("x^3", pow(x, 3), x * x * x, 3 * x * x, 6 * x, {}),
      RULE("x^-2", pow(x, -2), 1 / (x * x), -2 * y / x, -3 * d / x, {}),
      RULE("x^0.125", pow(x, 0.125), powq(x, 0.125), powq(x, -0.875) / 8, -7 * d / (8 * x), {}),
      RULE("x^0.1", pow(x, 0.1), powq(x, T(0.1)), T(0.1) * powq(x, Quad(T(0.1)) - 1), (Quad(T(0.1)) - 1) * d / x, {}),
      RULE("x^-0.3", pow(x, -0.3), powq(x, T(-0.3)), T(-0.3) * powq(x, Quad(T(-0.3)) - 1), (Quad(T(-0.3)) - 1) * d / x,
           {}),
      RULE("2.5^x", pow(2.5, x), powq(2.5, x), y * logq(2.5), d * logq(2.5), {}),
      RULE("1/x", 1 / x, 1 / x, -y * y, -2 * d / x, {}),
      RULE("x/3", x / 3, x / 3, Quad(1) / 3, 0, {}),
      RULE("x * x", x * x, x * x, 2 * x, 2, {}),
      RULE("hypot(x, 3)", hypot(x, 3), hypotq(x, 3), x / y, 9 / (y * y * y), {}),
      RULE("atan2(x, 3)", atan2(x, 3), atan2q(x, 3), 3 / (9 + x * x), -2 * x * d / (9 + x * x), {}),
      RULE("atan2(3, x)", atan2(3, x), atan2q(3, x), -3 / (9 + x * x), -2 * x * d / (9 + x * x), {}),
      RULE("fma(x, x, 1)", fma(x, x, 1), x * x + 1, 2 * x, 2, {}),
      // Pieces and steps; where two meet, the slope that the rule says.
      RULE("abs", abs(x), fabsq(x), Quad((x > 0) - (x < 0)), 0, {}),
      RULE("fabs", fabs(x), fabsq(x), Quad((x > 0) - (x < 0)), 0, {}),
      RULE("copysign(x, -2)", copysign(x, -2), -fabsq(x), Quad((x < 0) - (x > 0)), 0, {}),
      RULE("fmin(x, 2)", fmin(x, 2), fminq(x, 2), Quad(x <= 2), 0, {}),
      RULE("fmax(x, 2)", fmax(x, 2), fmaxq(x, 2), Quad(x >= 2), 0, {}),
      RULE("floor", floor(x), floorq(x), 0, 0, {}),
      RULE("ceil", ceil(x), ceilq(x), 0, 0, {}),
      RULE("round", round(x), roundq(x), 0, 0, {}),
      RULE("trunc", trunc(x), truncq(x), 0, 0, {}),
  };
}
#undef RULE

template <class T>
void check_rules() {
  using First = Dual<T, 1>;
  const std::vector<T> points = slopewise::points_everywhere<T>();
  for (const Rule<T>& rule : rules<T>()) {
    Worst value, slope, second;
    for (const T x : points) {
      const Exact exact = rule.exact(x);
      const Dual<First, 1> y = rule.found(Dual<First, 1>(First(x, 1), First(1, 0)));
      value.take(x, y.value.value, exact.value);
      // At a pole of the value the slope is singular too: functions_test.cpp states the choices.
      if (isinfq(exact.value)) continue;
      slope.take(x, y.value.tangent[0], isnanq(exact.value) ? exact.value : exact.slope);
      EXPECT_TRUE(y.tangent[0].value == y.value.tangent[0] || isnanq(exact.value)) << rule.name << " at " << x;
      if (std::isfinite(x) && !isnanq(exact.value) && std::isfinite(static_cast<T>(exact.slope)) &&
          std::isfinite(static_cast<T>(exact.curvature))) {
        second.take(x, y.tangent[0].tangent[0], exact.curvature);
      }
    }
    value.expect_at_most(rule.limits.value, rule.name, "value");
    slope.expect_at_most(rule.limits.slope, rule.name, "slope");
    second.expect_at_most(rule.limits.second, rule.name, "second derivative");
  }
}

TEST(Accuracy, OfEveryFunction) {
  check_rules<double>();
  check_rules<float>();
}

// ψ or ψ′ in 113 bits, and for x < 0 the larger of the terms that they are sums of: ψ(x) = ψ(1 − x) − π cot πx.
struct Polygamma {
  Quad value, term;
};
Polygamma polygamma_of(int order, Quad x) {
  using boost::multiprecision::float128;
  const Quad found = boost::math::polygamma(order, float128(x)).backend().value();
  if (x > 0) return {found, 0};
  const Quad reflected = boost::math::polygamma(order, float128(1 - x)).backend().value();
  return {found, fmaxq(fabsq(reflected), fabsq(found - reflected))};
}

// The C library's tgamma, which its slope is made from, is off by up to 5 units.
template <class T>
void check_gammas(T most, T most_of_tgamma) {
  using First = Dual<T, 1>;
  Worst lgamma_slope, lgamma_second, tgamma_slope;
  slopewise::RandomStream random(5);
  for (int trial = 0; trial < 600; ++trial) {
    const double least = trial % 3 == 0 ? 2 * std::numeric_limits<T>::min() : 1e-3;
    const double magnitude = std::exp(random.uniform(std::log(least), std::log(most)));
    const auto x = static_cast<T>(trial % 4 == 0 ? -std::fmod(magnitude, 20.0) : magnitude);
    if (x < 0 && x == std::floor(x)) continue;
    const Dual<First, 1> at(First(x, 1), First(1, 0));
    const Polygamma psi = polygamma_of(0, x), psi_slope = polygamma_of(1, x);
    const auto y = lgamma(at);
    lgamma_slope.take(x, y.value.tangent[0], psi.value, psi.term);
    lgamma_second.take(x, y.tangent[0].tangent[0], psi_slope.value, psi_slope.term);
    if (x > most_of_tgamma) continue;
    const Quad gamma = tgammaq(x);
    tgamma_slope.take(x, tgamma(at).value.tangent[0], gamma * psi.value, gamma * psi.term);
  }
  lgamma_slope.expect_at_most(4, "lgamma", "slope");
  lgamma_second.expect_at_most(8, "lgamma", "second derivative");
  tgamma_slope.expect_at_most(12, "tgamma", "slope");
}

TEST(Accuracy, OfGammaFunctions) {
  check_gammas<double>(1e15, 170);
  check_gammas<float>(1e6f, 34);
}

// Of two arguments: the value, both slopes, and the mixed second derivative with the larger of the terms it is a sum
// of.
struct ExactPair {
  Quad value, along_x, along_y, mixed, term;
};
struct PairRule {
  std::string_view name;
  Dual<Dual<double, 2>, 2> (*found)(const Dual<Dual<double, 2>, 2>&, const Dual<Dual<double, 2>, 2>&);
  ExactPair (*exact)(Quad, Quad);
  // Its slopes are made from the value, and so as little as it where it is subnormal or overflows.
  bool from_value = false;
};

TEST(Accuracy, OfEveryFunctionOfTwo) {
  using First = Dual<double, 2>;
  using Second = Dual<First, 2>;
  using S = const Second&;
  const PairRule pair_rules[] = {
      {"x + y", [](S x, S y) { return x + y; },
       [](Quad x, Quad y) {
         return ExactPair{x + y, 1, 1, 0, 0};
       }},
      {"x - y", [](S x, S y) { return x - y; },
       [](Quad x, Quad y) {
         return ExactPair{x - y, 1, -1, 0, 0};
       }},
      {"fma(x, y, x)", [](S x, S y) { return fma(x, y, x); },
       [](Quad x, Quad y) {
         return ExactPair{x * y + x, y + 1, x, 1, 1};
       }},
      {"lerp(x, y, 1/4)", [](S x, S y) { return lerp(x, y, 0.25); },
       [](Quad x, Quad y) {
         return ExactPair{x + (y - x) / 4, 0.75, 0.25, 0, 0};
       }},
      {"fmin", [](S x, S y) { return fmin(x, y); },
       [](Quad x, Quad y) {
         return ExactPair{fminq(x, y), Quad(x <= y), Quad(x > y), 0, 0};
       }},
      {"fmax", [](S x, S y) { return fmax(x, y); },
       [](Quad x, Quad y) {
         return ExactPair{fmaxq(x, y), Quad(x >= y), Quad(x < y), 0, 0};
       }},
      {"copysign(x, -y)", [](S x, S y) { return copysign(x, -y); },
       [](Quad x, Quad) {
         return ExactPair{-x, -1, 0, 0, 0};
       }},
      {"x * y", [](S x, S y) { return x * y; },
       [](Quad x, Quad y) {
         return ExactPair{x * y, y, x, 1, 1};
       }},
      {"x / y", [](S x, S y) { return x / y; },
       [](Quad x, Quad y) {
         const Quad mixed = -1 / (y * y);
         return ExactPair{x / y, 1 / y, -x / y / y, mixed, mixed};
       },
       true},
      {"hypot", [](S x, S y) { return hypot(x, y); },
       [](Quad x, Quad y) {
         const Quad r = hypotq(x, y);
         const Quad mixed = -x * y / (r * r * r);
         return ExactPair{r, x / r, y / r, mixed, mixed};
       }},
      {"hypot of three", [](S x, S y) { return hypot(x, y, y); },
       [](Quad x, Quad y) {
         const Quad r = sqrtq(x * x + 2 * y * y);
         const Quad mixed = -2 * x * y / (r * r * r);
         return ExactPair{r, x / r, 2 * y / r, mixed, mixed};
       }},
      {"atan2", [](S x, S y) { return atan2(x, y); },
       [](Quad x, Quad y) {
         const Quad square = x * x + y * y;
         return ExactPair{atan2q(x, y), y / square, -x / square, (x - y) * (x + y) / (square * square), 1 / square};
       }},
      {"pow", [](S x, S y) { return pow(x, y); },
       [](Quad x, Quad y) {
         const Quad value = powq(x, y), along_x = y * powq(x, y - 1), log = logq(x);
         return ExactPair{value, along_x, value * log, along_x * (log + 1 / y),
                          along_x * fmaxq(fabsq(log), fabsq(1 / y))};
       },
       true},
      {"fmod", [](S x, S y) { return fmod(x, y); },
       [](Quad x, Quad y) {
         return ExactPair{fmodq(x, y), 1, -truncq(x / y), 0, 0};
       }},
  };
  slopewise::RandomStream random(4);
  const auto magnitude = [&](double low, double high) {
    return std::ldexp(random.uniform(1, 2), static_cast<int>(random.uniform(low, high)));
  };
  constexpr double kLeast = std::numeric_limits<double>::min();
  for (const PairRule& rule : pair_rules) {
    Worst value, along_x, along_y, mixed;
    for (int trial = 0; trial < 4000; ++trial) {
      const double a = magnitude(-1074, 1023);
      const double b = trial % 2 == 0 ? a * magnitude(-30, 30) : magnitude(-60, 60);
      if (b == 0 || std::isinf(b)) continue;
      const ExactPair exact = rule.exact(a, b);
      const Second f =
          rule.found(Second(First(a, 1.0, 0.0), First(1), First(0)), Second(First(b, 0.0, 1.0), First(0), First(1)));
      value.take(a, f.value.value, exact.value);
      if (rule.from_value && !std::isnormal(static_cast<double>(exact.value))) continue;
      along_x.take(a, f.value.tangent[0], exact.along_x);
      along_y.take(a, f.value.tangent[1], exact.along_y);
      // Beside subnormal arguments or slopes the factors of a second derivative overflow or lose digits before it does.
      if (a > kLeast && b > kLeast && std::isnormal(static_cast<double>(exact.along_x))) {
        mixed.take(a, f.tangent[1].tangent[0], exact.mixed, exact.term);
      }
    }
    value.expect_at_most(4, rule.name, "value");
    along_x.expect_at_most(4, rule.name, "slope along x");
    along_y.expect_at_most(4, rule.name, "slope along y");
    mixed.expect_at_most(16, rule.name, "mixed second derivative");
  }
}

}  // namespace
