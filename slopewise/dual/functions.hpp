// The functions of <cmath> for duals, one under one formula. They are found by argument-dependent lookup: generic code
// says `using std::sin;` and calls sin(x) without qualification. std::min and std::max need nothing.
//
// In the formulas a is a value, h its tangent; f(a + h) ~= f(a) + f'(a) h. The value is what <cmath> gives for the
// value, NaN and infinities included. Where a slope is infinite or undefined the tangent is inf or NaN, except that a
// zero tangent always stays zero: what does not vary has no slope, so sqrt of a constant 0 is a constant.
#pragma once

#include <cmath>
#include <numbers>
#include <utility>

#include "slopewise/dual/dual.hpp"

namespace slopewise {
namespace detail {

// True if a number and all its tangents are zero.
template <class T>
constexpr bool is_zero(const T& a) {
  if constexpr (kIsDual<T>) {
    bool zero = is_zero(a.value);
    for (const auto& h : a.tangent) zero = zero && is_zero(h);
    return zero;
  } else {
    return a == T(0);
  }
}

// slope · h, which is zero for a zero h even where the slope is infinite or NaN.
template <class T>
constexpr T scaled(const T& slope, const T& h) {
  return is_zero(h) ? T(0) : T(slope * h);
}

// f(a + h) ~= value + slope h
template <class T, int K>
constexpr Dual<T, K> chain(const Dual<T, K>& a, const T& value, const T& slope) {
  return with_tangents<K>(value, [&](int k) { return scaled(slope, a.tangent[k]); });
}

// f(a + g, b + h) ~= value + slope_a g + slope_b h
template <class T, int K>
constexpr Dual<T, K> chain(const Dual<T, K>& a, const Dual<T, K>& b, const T& value, const T& slope_a,
                           const T& slope_b) {
  return with_tangents<K>(value,
                          [&](int k) { return T(scaled(slope_a, a.tangent[k]) + scaled(slope_b, b.tangent[k])); });
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

// sqrt(a + h) ~= sqrt(a) + h / (2 sqrt(a)).  At 0 the slope is +inf.
template <class T, int K>
Dual<T, K> sqrt(const Dual<T, K>& a) {
  using std::sqrt;
  const T root = sqrt(a.value);
  return detail::chain(a, root, T(0.5 / root));
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
  return detail::chain(a, T(log(a.value)), T(1 / a.value));
}

// log2(a + h) ~= log2(a) + h / (a log 2)
template <class T, int K>
Dual<T, K> log2(const Dual<T, K>& a) {
  using std::log2;
  return detail::chain(a, T(log2(a.value)), T(std::numbers::log2e_v<detail::InnermostOf<T>> / a.value));
}

// log10(a + h) ~= log10(a) + h / (a log 10)
template <class T, int K>
Dual<T, K> log10(const Dual<T, K>& a) {
  using std::log10;
  return detail::chain(a, T(log10(a.value)), T(std::numbers::log10e_v<detail::InnermostOf<T>> / a.value));
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

// asin(a + h) ~= asin(a) + h / sqrt(1 − a²).  At ±1 the slope is +inf.
template <class T, int K>
Dual<T, K> asin(const Dual<T, K>& a) {
  using std::asin;
  using std::sqrt;
  return detail::chain(a, T(asin(a.value)), T(1 / sqrt((1 - a.value) * (1 + a.value))));
}

// acos(a + h) ~= acos(a) − h / sqrt(1 − a²).  At ±1 the slope is −inf.
template <class T, int K>
Dual<T, K> acos(const Dual<T, K>& a) {
  using std::acos;
  using std::sqrt;
  return detail::chain(a, T(acos(a.value)), T(-1 / sqrt((1 - a.value) * (1 + a.value))));
}

// atan(a + h) ~= atan(a) + h / (1 + a²)
template <class T, int K>
Dual<T, K> atan(const Dual<T, K>& a) {
  using std::atan;
  return detail::chain(a, T(atan(a.value)), T(1 / (1 + a.value * a.value)));
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

// tanh(a + h) ~= t + (1 − t²) h,  t = tanh(a)
template <class T, int K>
Dual<T, K> tanh(const Dual<T, K>& a) {
  using std::tanh;
  const T t = tanh(a.value);
  return detail::chain(a, t, T(1 - t * t));
}

// asinh(a + h) ~= asinh(a) + h / sqrt(1 + a²)
template <class T, int K>
Dual<T, K> asinh(const Dual<T, K>& a) {
  using std::asinh;
  using std::sqrt;
  return detail::chain(a, T(asinh(a.value)), T(1 / sqrt(1 + a.value * a.value)));
}

// acosh(a + h) ~= acosh(a) + h / sqrt(a² − 1).  At 1 the slope is +inf.
template <class T, int K>
Dual<T, K> acosh(const Dual<T, K>& a) {
  using std::acosh;
  using std::sqrt;
  return detail::chain(a, T(acosh(a.value)), T(1 / sqrt((a.value - 1) * (a.value + 1))));
}

// atanh(a + h) ~= atanh(a) + h / (1 − a²).  At ±1 the slope is +inf.
template <class T, int K>
Dual<T, K> atanh(const Dual<T, K>& a) {
  using std::atanh;
  return detail::chain(a, T(atanh(a.value)), T(1 / ((1 - a.value) * (1 + a.value))));
}

// erf(a + h) ~= erf(a) + 2/sqrt(π) exp(−a²) h
template <class T, int K>
Dual<T, K> erf(const Dual<T, K>& a) {
  using std::erf;
  using std::exp;
  const auto c = 2 * std::numbers::inv_sqrtpi_v<detail::InnermostOf<T>>;
  return detail::chain(a, T(erf(a.value)), T(c * exp(-a.value * a.value)));
}

// erfc(a + h) ~= erfc(a) − 2/sqrt(π) exp(−a²) h
template <class T, int K>
Dual<T, K> erfc(const Dual<T, K>& a) {
  using std::erfc;
  using std::exp;
  const auto c = -2 * std::numbers::inv_sqrtpi_v<detail::InnermostOf<T>>;
  return detail::chain(a, T(erfc(a.value)), T(c * exp(-a.value * a.value)));
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
  const auto along_base = [](const auto& a, const auto& p) { return a == 0 && p == 0 ? T(0) : T(p * pow(a, p - 1)); };
  const auto along_exponent = [](const auto& a, const auto& p, const T& value) {
    return a == 0 && p > 0 ? T(0) : T(value * log(a));
  };
  if constexpr (!std::same_as<P, D>) {
    const auto p = detail::constant<T>(exponent);
    return detail::chain(base, T(pow(base.value, p)), along_base(base.value, p));
  } else if constexpr (!std::same_as<A, D>) {
    const auto a = detail::constant<T>(base);
    const T value = pow(a, exponent.value);
    return detail::chain(exponent, value, along_exponent(a, exponent.value, value));
  } else {
    const T& a = base.value;
    const T& p = exponent.value;
    const T value = pow(a, p);
    return detail::chain(base, exponent, value, along_base(a, p), along_exponent(a, p, value));
  }
}

// atan2(b + h, a + g) ~= atan2(b, a) + (a h − b g) / r²,  r² = a² + b², divided by r twice so that nothing overflows.
// At the origin the angle has no slope: NaN.
template <class B, class A, class D = detail::Promoted<B, A>>
D atan2(const B& y, const A& x) {
  using std::atan2;
  using std::hypot;
  using T = typename D::Number;
  const D b(y), a(x);
  const T r = hypot(a.value, b.value);
  return detail::chain(b, a, T(atan2(b.value, a.value)), T(a.value / r / r), T(-b.value / r / r));
}

// hypot(a + g, b + h) ~= r + (a g + b h) / r,  r = hypot(a, b).  At the origin the slopes are 0, as for abs.
template <class A, class B, class D = detail::Promoted<A, B>>
D hypot(const A& x, const B& y) {
  using std::hypot;
  using T = typename D::Number;
  const D a(x), b(y);
  const T r = hypot(a.value, b.value);
  if (r == 0) return r;
  return detail::chain(a, b, r, T(a.value / r), T(b.value / r));
}

// hypot(a + f, b + g, c + h) ~= r + (a f + b g + c h) / r,  r = hypot(a, b, c)
template <class A, class B, class C, class D = detail::Promoted<A, B, C>>
D hypot(const A& x, const B& y, const C& z) {
  using std::hypot;
  using T = typename D::Number;
  const D a(x), b(y), c(z);
  const T r = hypot(a.value, b.value, c.value);
  if (r == 0) return r;
  return detail::chain(a, b, r, T(a.value / r), T(b.value / r)) + detail::chain(c, T(0), T(c.value / r));
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
  return detail::with_tangents<D::kTangents>(T(fma(a.value, b.value, c.value)), [&](int k) {
    return T(a.value * b.tangent[k] + b.value * a.tangent[k] + c.tangent[k]);
  });
}

}  // namespace slopewise
