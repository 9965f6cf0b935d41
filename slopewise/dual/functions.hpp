// The functions of <cmath> for duals, one under one formula. They are found by argument-dependent lookup: generic code
// says `using std::sin;` and calls sin(x) without qualification. std::min and std::max need nothing.
//
// In the formulas a is a value, h its tangent; f(a + h) ~= f(a) + f'(a) h. The value is what <cmath> gives for the
// value, NaN and infinities included. Where a slope is infinite or undefined the tangent is inf or NaN, except that a
// zero tangent always stays zero: what does not vary has no slope, so sqrt of a constant 0 is a constant. A zero of
// either sign is the same singular point, and where the value is NaN so is the slope.
//
// Slopes are written so that neither they nor their own tangents, which a nested dual takes from the same expression,
// overflow or cancel before their result does: within a few units in the last place over the whole range of the type.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "slopewise/dual/dual.hpp"
#include "slopewise/dual/polygamma.hpp"

namespace slopewise {
namespace detail {

// f(a + h) ~= value + slope h
template <class T, int K>
constexpr Dual<T, K> chain(const Dual<T, K>& a, const T& value, const T& slope) {
  using std::isnan;
  return along(value, isnan(value) ? value : slope, a.tangent);
}

// f(a + g, b + h) ~= value + slope_a g + slope_b h
template <class T, int K>
constexpr Dual<T, K> chain(const Dual<T, K>& a, const Dual<T, K>& b, const T& value, const T& slope_a,
                           const T& slope_b) {
  return along(value, slope_a, a.tangent, slope_b, b.tangent);
}

// exp(−a²).  exp turns the rounding of a² into a relative error as large, so it is made up for.
template <class T>
T gaussian(const T& a) {
  using std::exp;
  using std::fma;
  const T square = a * a;
  if (square > 2 * std::numeric_limits<InnermostOf<T>>::max_exponent) return T(0);
  return exp(-square) * (1 - fma(a, a, -square));
}

// ψ⁽ᵏ⁾(a + h) ~= ψ⁽ᵏ⁾(a) + ψ⁽ᵏ⁺¹⁾(a) h
template <class T, int K>
Dual<T, K> polygamma(int order, const Dual<T, K>& a) {
  return chain(a, T(polygamma(order, a.value)), T(polygamma(order + 1, a.value)));
}

// The largest magnitude among the arguments.
template <class T, class... More>
T largest(const T& a, const More&... more) {
  using std::abs;
  T most = abs(a);
  ((most = abs(more) > most ? T(abs(more)) : most), ...);
  return most;
}

// A power of two times which the larger of |a| and |b| has a square that neither overflows nor is subnormal.
template <class T>
InnermostOf<T> scale_to_square(const T& a, const T& b) {
  using Inner = InnermostOf<T>;
  constexpr int kMost = std::numeric_limits<Inner>::max_exponent;
  int exponent = 0;
  std::frexp(innermost(largest(a, b)), &exponent);
  return std::abs(exponent) < kMost / 3 ? Inner(1) : std::ldexp(Inner(1), std::min(-exponent, kMost - 1));
}

// a / m, where m is the largest magnitude among a and others.
template <class T>
T share(const T& a, const T& m) {
  using std::isinf;
  return isinf(a) ? T(a > 0 ? 1 : -1) : T(a / m);
}

// The dual type that a sum of such arguments has; no type if none of them is a dual.
template <class... A>
requires kIsDual<decltype((std::declval<A>() + ...))>
using Promoted = decltype((std::declval<A>() + ...));

}  // namespace detail

// Classification looks at the value.
template <class T, int K>
bool isnan(const Dual<T, K>& a) {
  using std::isnan;
  return isnan(a.value);
}
template <class T, int K>
bool isinf(const Dual<T, K>& a) {
  using std::isinf;
  return isinf(a.value);
}
template <class T, int K>
bool isfinite(const Dual<T, K>& a) {
  using std::isfinite;
  return isfinite(a.value);
}
template <class T, int K>
bool signbit(const Dual<T, K>& a) {
  using std::signbit;
  return signbit(a.value);
}

// |a + h| ~= |a| + sign(a) h.  At 0 the slope is 0, the mean of its two sides.
template <class T, int K>
Dual<T, K> abs(const Dual<T, K>& a) {
  using std::abs;
  const int sign = (a.value > 0) - (a.value < 0);
  return detail::chain(a, T(abs(a.value)), T(sign));
}
template <class T, int K>
Dual<T, K> fabs(const Dual<T, K>& a) {
  return abs(a);
}

// floor, ceil, round, trunc: steps, of slope 0; so is it at the jumps.
template <class T, int K>
Dual<T, K> floor(const Dual<T, K>& a) {
  using std::floor;
  return floor(a.value);
}
template <class T, int K>
Dual<T, K> ceil(const Dual<T, K>& a) {
  using std::ceil;
  return ceil(a.value);
}
template <class T, int K>
Dual<T, K> round(const Dual<T, K>& a) {
  using std::round;
  return round(a.value);
}
template <class T, int K>
Dual<T, K> trunc(const Dual<T, K>& a) {
  using std::trunc;
  return trunc(a.value);
}

// sqrt(a + h) ~= sqrt(a) + h / (2 sqrt(a)).  At 0 the slope is +inf; adding 0 takes the sign from −0, here and below.
template <class T, int K>
Dual<T, K> sqrt(const Dual<T, K>& a) {
  using std::sqrt;
  const T root = sqrt(a.value);
  return detail::chain(a, root, T(0.5 / (root + 0)));
}

// cbrt(a + h) ~= cbrt(a) + h / (3 cbrt(a)²).  At 0 the slope is +inf.
template <class T, int K>
Dual<T, K> cbrt(const Dual<T, K>& a) {
  using std::cbrt;
  const T root = cbrt(a.value);
  return detail::chain(a, root, T(1 / (3 * (root * root))));
}

// exp(a + h) ~= exp(a) + exp(a) h
template <class T, int K>
Dual<T, K> exp(const Dual<T, K>& a) {
  using std::exp;
  const T power = exp(a.value);
  return detail::chain(a, power, power);
}

// 2^(a + h) ~= 2^a + 2^a log(2) h
template <class T, int K>
Dual<T, K> exp2(const Dual<T, K>& a) {
  using std::exp2;
  const T power = exp2(a.value);
  return detail::chain(a, power, T(power * std::numbers::ln2_v<detail::InnermostOf<T>>));
}

// expm1(a + h) ~= expm1(a) + exp(a) h.  The slope is not expm1(a) + 1, which loses its digits for a << 0.
template <class T, int K>
Dual<T, K> expm1(const Dual<T, K>& a) {
  using std::exp;
  using std::expm1;
  return detail::chain(a, T(expm1(a.value)), T(exp(a.value)));
}

// log(a + h) ~= log(a) + h / a.  At 0 the slope is +inf.
template <class T, int K>
Dual<T, K> log(const Dual<T, K>& a) {
  using std::log;
  return detail::chain(a, T(log(a.value)), T(1 / (a.value + 0)));
}

// log2(a + h) ~= log2(a) + h / (a log 2)
template <class T, int K>
Dual<T, K> log2(const Dual<T, K>& a) {
  using std::log2;
  return detail::chain(a, T(log2(a.value)), T(std::numbers::log2e_v<detail::InnermostOf<T>> / (a.value + 0)));
}

// log10(a + h) ~= log10(a) + h / (a log 10)
template <class T, int K>
Dual<T, K> log10(const Dual<T, K>& a) {
  using std::log10;
  return detail::chain(a, T(log10(a.value)), T(std::numbers::log10e_v<detail::InnermostOf<T>> / (a.value + 0)));
}

// log1p(a + h) ~= log1p(a) + h / (1 + a)
template <class T, int K>
Dual<T, K> log1p(const Dual<T, K>& a) {
  using std::log1p;
  return detail::chain(a, T(log1p(a.value)), T(1 / (1 + a.value)));
}

// sin(a + h) ~= sin(a) + cos(a) h
template <class T, int K>
Dual<T, K> sin(const Dual<T, K>& a) {
  using std::cos;
  using std::sin;
  return detail::chain(a, T(sin(a.value)), T(cos(a.value)));
}

// cos(a + h) ~= cos(a) − sin(a) h
template <class T, int K>
Dual<T, K> cos(const Dual<T, K>& a) {
  using std::cos;
  using std::sin;
  return detail::chain(a, T(cos(a.value)), T(-sin(a.value)));
}

// tan(a + h) ~= t + (1 + t²) h,  t = tan(a)
template <class T, int K>
Dual<T, K> tan(const Dual<T, K>& a) {
  using std::tan;
  const T t = tan(a.value);
  return detail::chain(a, t, T(1 + t * t));
}

// asin(a + h) ~= asin(a) + h / sqrt(1 − a²).  At ±1 the slope is +inf.  fma rounds 1 − a² once, however near 1 a is.
template <class T, int K>
Dual<T, K> asin(const Dual<T, K>& a) {
  using std::asin;
  using std::fma;
  using std::sqrt;
  return detail::chain(a, T(asin(a.value)), T(1 / sqrt(fma(-a.value, a.value, T(1)))));
}

// acos(a + h) ~= acos(a) − h / sqrt(1 − a²).  At ±1 the slope is −inf.
template <class T, int K>
Dual<T, K> acos(const Dual<T, K>& a) {
  using std::acos;
  using std::fma;
  using std::sqrt;
  return detail::chain(a, T(acos(a.value)), T(-1 / sqrt(fma(-a.value, a.value, T(1)))));
}

// atan(a + h) ~= atan(a) + h / r²,  r = hypot(1, a)
template <class T, int K>
Dual<T, K> atan(const Dual<T, K>& a) {
  using std::atan;
  using std::hypot;
  const T r = hypot(T(1), a.value);
  return detail::chain(a, T(atan(a.value)), T(1 / r / r));
}

// sinh(a + h) ~= sinh(a) + cosh(a) h
template <class T, int K>
Dual<T, K> sinh(const Dual<T, K>& a) {
  using std::cosh;
  using std::sinh;
  return detail::chain(a, T(sinh(a.value)), T(cosh(a.value)));
}

// cosh(a + h) ~= cosh(a) + sinh(a) h
template <class T, int K>
Dual<T, K> cosh(const Dual<T, K>& a) {
  using std::cosh;
  using std::sinh;
  return detail::chain(a, T(cosh(a.value)), T(sinh(a.value)));
}

// tanh(a + h) ~= tanh(a) + h / cosh(a)².  The slope is not 1 − tanh(a)², which loses its digits as tanh(a) nears ±1.
template <class T, int K>
Dual<T, K> tanh(const Dual<T, K>& a) {
  using std::cosh;
  using std::isinf;
  using std::tanh;
  const T c = cosh(a.value);
  return detail::chain(a, T(tanh(a.value)), isinf(c) ? T(0) : T(1 / c / c));
}

// asinh(a + h) ~= asinh(a) + h / hypot(1, a)
template <class T, int K>
Dual<T, K> asinh(const Dual<T, K>& a) {
  using std::asinh;
  using std::hypot;
  return detail::chain(a, T(asinh(a.value)), T(1 / hypot(T(1), a.value)));
}

// acosh(a + h) ~= acosh(a) + h / sqrt(a² − 1).  At 1 the slope is +inf.
template <class T, int K>
Dual<T, K> acosh(const Dual<T, K>& a) {
  using std::acosh;
  using std::sqrt;
  return detail::chain(a, T(acosh(a.value)), T(1 / (sqrt(a.value - 1) * sqrt(a.value + 1))));
}

// atanh(a + h) ~= atanh(a) + h / (1 − a²).  At ±1 the slope is +inf.
template <class T, int K>
Dual<T, K> atanh(const Dual<T, K>& a) {
  using std::atanh;
  using std::fma;
  return detail::chain(a, T(atanh(a.value)), T(1 / fma(-a.value, a.value, T(1))));
}

// erf(a + h) ~= erf(a) + 2/sqrt(π) exp(−a²) h
template <class T, int K>
Dual<T, K> erf(const Dual<T, K>& a) {
  using std::erf;
  const auto c = 2 * std::numbers::inv_sqrtpi_v<detail::InnermostOf<T>>;
  return detail::chain(a, T(erf(a.value)), T(c * detail::gaussian(a.value)));
}

// erfc(a + h) ~= erfc(a) − 2/sqrt(π) exp(−a²) h
template <class T, int K>
Dual<T, K> erfc(const Dual<T, K>& a) {
  using std::erfc;
  const auto c = -2 * std::numbers::inv_sqrtpi_v<detail::InnermostOf<T>>;
  return detail::chain(a, T(erfc(a.value)), T(c * detail::gaussian(a.value)));
}

// lgamma(a + h) ~= log|Γ(a)| + ψ(a) h.  At 0, −1, −2, … the slope is NaN: it is −inf on one side and +inf on the other.
template <class T, int K>
Dual<T, K> lgamma(const Dual<T, K>& a) {
  using detail::polygamma;
  using std::lgamma;
  return detail::chain(a, T(lgamma(a.value)), T(polygamma(0, a.value)));
}

// tgamma(a + h) ~= Γ(a) + Γ(a) ψ(a) h, with the same choice.
template <class T, int K>
Dual<T, K> tgamma(const Dual<T, K>& a) {
  using detail::polygamma;
  using std::tgamma;
  const T value = tgamma(a.value);
  return detail::chain(a, value, T(value * polygamma(0, a.value)));
}

// (a + g)^(p + h) ~= a^p + p a^(p−1) g + a^p log(a) h, each term only where a or p is a dual.
// 0^0 = 1, as in <cmath>. At a = 0: along a the slope is 0 for p = 0 or p > 1, 1 for p = 1, inf for 0 < p < 1; along p
// it is 0 for p > 0 (0^p is flat there) and −inf for p ≤ 0. For a < 0 the slope along p is NaN; p itself may be a dual,
// if its tangent is zero.
template <class A, class P, class D = detail::Promoted<A, P>>
D pow(const A& base, const P& exponent) {
  using std::log;
  using std::pow;
  using T = typename D::Number;
  const auto along_base = [](const auto& a, const auto& p, const T& value) {
    using std::abs;
    using std::isinf;
    if (a == 0 && p == 0) return T(0);
    const auto less = p - 1;
    const T slope = p * pow(a, less);
    if (!(a > 0)) return slope;
    if (isinf(slope) && !isinf(value)) return T(p * value / a);  // a^(p−1) alone may have overflowed
    if (isinf(slope) || slope == 0) return slope;
    const auto lost = abs(p) > 1 ? (p - less) - 1 : p - (less + 1);  // of p − 1 to rounding
    return lost == 0 ? slope : T(slope * (1 + lost * log(a)));
  };
  const auto along_exponent = [](const auto& a, const auto& p, const T& value) {
    return a == 0 && p > 0 ? T(0) : T(value * log(a));
  };
  if constexpr (!std::same_as<P, D>) {
    const auto p = detail::constant<T>(exponent);
    const T value = pow(base.value, p);
    return detail::chain(base, value, along_base(base.value, p, value));
  } else if constexpr (!std::same_as<A, D>) {
    const auto a = detail::constant<T>(base);
    const T value = pow(a, exponent.value);
    return detail::chain(exponent, value, along_exponent(a, exponent.value, value));
  } else {
    const T& a = base.value;
    const T& p = exponent.value;
    const T value = pow(a, p);
    return detail::chain(base, exponent, value, along_base(a, p, value), along_exponent(a, p, value));
  }
}

// atan2(b + h, a + g) ~= atan2(b, a) + (a h − b g) / r²,  r² = a² + b².  At the origin the angle has no slope: NaN.
template <class B, class A, class D = detail::Promoted<B, A>>
D atan2(const B& y, const A& x) {
  using std::atan2;
  using std::isinf;
  using T = typename D::Number;
  const D b(y), a(x);
  const T angle = atan2(b.value, a.value);
  if (isinf(a) || isinf(b)) return angle;
  const auto scale = detail::scale_to_square(a.value, b.value);
  const T u = a.value * scale, v = b.value * scale;
  const T square = u * u + v * v;
  return detail::chain(b, a, angle, T(u / square * scale), T(-v / square * scale));
}

// hypot(a + g, b + h) ~= r + (a g + b h) / r,  r = hypot(a, b).  At the origin the slopes are 0, as for abs.
// The slopes are made from a / m and b / m, m the larger of |a| and |b|: r may overflow, or have few digits.
template <class A, class B, class D = detail::Promoted<A, B>>
D hypot(const A& x, const B& y) {
  using std::hypot;
  using std::sqrt;
  using T = typename D::Number;
  const D a(x), b(y);
  const T r = hypot(a.value, b.value);
  if (r == 0) return r;
  const T m = detail::largest(a.value, b.value);
  const T u = detail::share(a.value, m), v = detail::share(b.value, m);
  const T length = sqrt(u * u + v * v);
  return detail::chain(a, b, r, T(u / length), T(v / length));
}

// hypot(a + f, b + g, c + h) ~= r + (a f + b g + c h) / r,  r = hypot(a, b, c), likewise.
template <class A, class B, class C, class D = detail::Promoted<A, B, C>>
D hypot(const A& x, const B& y, const C& z) {
  using std::hypot;
  using std::sqrt;
  using T = typename D::Number;
  const D a(x), b(y), c(z);
  const T r = hypot(a.value, b.value, c.value);
  if (r == 0) return r;
  const T m = detail::largest(a.value, b.value, c.value);
  const T u = detail::share(a.value, m), v = detail::share(b.value, m), w = detail::share(c.value, m);
  const T length = sqrt(u * u + v * v + w * w);
  return detail::chain(a, b, r, T(u / length), T(v / length)) + detail::chain(c, T(0), T(w / length));
}

// fmin, fmax: the argument chosen, with its tangents. A tie takes the first, as std::min and std::max do; of a number
// and a NaN, the number is taken.
template <class A, class B, class D = detail::Promoted<A, B>>
D fmin(const A& x, const B& y) {
  const D a(x), b(y);
  return b < a || isnan(a) ? b : a;
}
template <class A, class B, class D = detail::Promoted<A, B>>
D fmax(const A& x, const B& y) {
  const D a(x), b(y);
  return a < b || isnan(a) ? b : a;
}

// fmod(a + g, b + h) ~= fmod(a, b) + g − trunc(a / b) h.  At its jumps the slopes are those of the side it takes.
template <class A, class B, class D = detail::Promoted<A, B>>
D fmod(const A& x, const B& y) {
  using std::fmod;
  using std::round;
  using T = typename D::Number;
  const D a(x), b(y);
  const T rest = fmod(a.value, b.value);
  // trunc(a / b) from the exact remainder, since a rounded a / b may reach the next integer.
  return detail::chain(a, b, rest, T(1), T(-round((a.value - rest) / b.value)));
}

// copysign(a + g, b + h) ~= ±|a| ± sign(a) g, with the sign of b; h does not matter. At a = 0 the slope is 0, as for
// abs.
template <class A, class B, class D = detail::Promoted<A, B>>
D copysign(const A& x, const B& y) {
  const D magnitude = abs(D(x));
  return signbit(D(y)) ? -magnitude : magnitude;
}

// (a + f)(b + g) + (c + h) ~= a b + c + (a g + b f + h), with one rounding in the value.
template <class A, class B, class C, class D = detail::Promoted<A, B, C>>
D fma(const A& x, const B& y, const C& z) {
  using std::fma;
  using T = typename D::Number;
  const D a(x), b(y), c(z);
  const D rest = detail::along(T(0), b.value, a.tangent, a.value, b.tangent);
  return detail::with_tangents<D::kTangents>(T(fma(a.value, b.value, c.value)),
                                             [&](int k) { return T(rest.tangent[k] + c.tangent[k]); });
}

// lerp(a + f, b + g, t + h) ~= a + t (b − a) + (1 − t) f + t g + (b − a) h, its value exact at t = 0 and 1.
template <class A, class B, class C, class D = detail::Promoted<A, B, C>>
D lerp(const A& x, const B& y, const C& z) {
  using std::lerp;
  using T = typename D::Number;
  const D a(x), b(y), t(z);
  const D ends = detail::along(T(0), T(1 - t.value), a.tangent, t.value, b.tangent);
  return detail::chain(t, T(lerp(a.value, b.value, t.value)), T(b.value - a.value)) + ends;
}

}  // namespace slopewise
