// Dual numbers: a value and K tangents that travel together through any C++ function.
//
// Write the function once, for any number type S:
//
//   template <class S> S f(S x, S y) { using std::sin; return x * y + sin(x); }
//
// Called with doubles it gives the value. Called with duals it also gives its slopes: replace every input a by
//
//   a + h_0 ε_0 + … + h_{K−1} ε_{K−1},  where every product ε_i ε_j is zero,
//
// and the rules of arithmetic carry the first-order change exactly, with no step size. From the product,
// (a + g ε)(b + h ε) = a b + (a h + g b) ε: the value and the tangents are computed side by side, in one visit.
//
//   Dual<double, 2> x = Dual<double, 2>::variable(3.0, 0);  // 3 + ε_0
//   Dual<double, 2> y = Dual<double, 2>::variable(4.0, 1);  // 4 + ε_1
//   auto z = f(x, y);                                       // z.value = f, z.tangent = {∂f/∂x, ∂f/∂y}
//   auto s = f(Dual<double, 1>(3.0, v0), Dual<double, 1>(4.0, v1));  // s.tangent[0] = ∇f·v, the slope along v
//
// Nested, Dual<Dual<double, 1>, 1> carries second derivatives: see derivatives.hpp, which does all of this for
// functions of a vector. The mathematical functions are in functions.hpp.
//
// Comparisons look at values only, so a branch is taken as it is for double, and std::min, std::max, std::clamp and
// std::sort work as they are (a tie takes the argument that they take). A built-in number used beside a dual is a
// constant: its tangents are zero and are not computed with. What does not vary has no slope: a zero tangent adds
// nothing, products with infinities and quotients by zero included.
#pragma once

#include <compare>
#include <concepts>
#include <limits>
#include <ostream>
#include <type_traits>

namespace slopewise {

// What may stand beside a number of type T as a constant: T itself and whatever converts to it.
template <class S, class T>
concept ConstantOf = std::convertible_to<const S&, T>;

template <class T, int K>
struct Dual {
  static_assert(K >= 1, "a Dual carries at least one tangent");
  using Number = T;
  static constexpr int kTangents = K;

  T tangent[K]{};  // first: behind a value, GCC packs value and tangents into one vector, which takes twice the time
  T value{};

  constexpr Dual() = default;
  // A constant: all tangents zero.
  template <ConstantOf<T> S>
  constexpr Dual(const S& constant) : value(static_cast<T>(constant)) {}
  // A value and its K tangents.
  template <ConstantOf<T> S, ConstantOf<T>... H>
  requires(sizeof...(H) == K) constexpr Dual(const S& number, const H&... tangents)
      : tangent{static_cast<T>(tangents)...}, value(static_cast<T>(number)) {}
  // The independent variable number k: its tangent is the k-th unit vector.
  static constexpr Dual variable(const T& value, int k = 0) {
    Dual result(value);
    result.tangent[k] = T(1);
    return result;
  }

  // The value alone, as a built-in number, where it is asked for: static_cast<double>(a).
  template <class U>
  requires std::is_arithmetic_v<U>
  constexpr explicit operator U() const { return static_cast<U>(value); }

  constexpr Dual& operator+=(const auto& b) { return *this = *this + b; }
  constexpr Dual& operator-=(const auto& b) { return *this = *this - b; }
  constexpr Dual& operator*=(const auto& b) { return *this = *this * b; }
  constexpr Dual& operator/=(const auto& b) { return *this = *this / b; }

  friend constexpr bool operator==(const Dual& a, const Dual& b) { return a.value == b.value; }
  friend constexpr auto operator<=>(const Dual& a, const Dual& b) { return a.value <=> b.value; }
};

namespace detail {

template <class D>
inline constexpr bool kIsDual = false;
template <class T, int K>
inline constexpr bool kIsDual<Dual<T, K>> = true;

// The built-in number at the bottom of a nest of duals.
template <class T>
struct Innermost {
  using Type = T;
};
template <class T, int K>
struct Innermost<Dual<T, K>> : Innermost<T> {};
template <class T>
using InnermostOf = typename Innermost<T>::Type;

template <class T>
constexpr InnermostOf<T> innermost(const T& a) {
  if constexpr (kIsDual<T>) {
    return innermost(a.value);
  } else {
    return a;
  }
}

// A constant in the cheapest type that can stand beside a T: the built-in number, when it is one, even if T is a dual.
template <class T, class S>
constexpr auto constant(const S& s) {
  if constexpr (std::is_arithmetic_v<S>) {
    return static_cast<InnermostOf<T>>(s);
  } else {
    return static_cast<T>(s);
  }
}

// The dual with this value whose tangent k is tangent_of(k).
template <int K, class T, class F>
constexpr Dual<T, K> with_tangents(const T& value, F tangent_of) {
  Dual<T, K> result(value);
  for (int k = 0; k < K; ++k) result.tangent[k] = tangent_of(k);
  return result;
}

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

// slope · h, which is zero for a zero h even where the slope is infinite or NaN. The product comes first, so that what
// follows is a selection and no jump.
template <class S, class T>
constexpr T scaled(const S& slope, const T& h) {
  const T product = slope * h;
  return is_zero(h) ? T(0) : product;
}

// True if no part of a number is infinite or NaN.
template <class T>
constexpr bool bounded(const T& a) {
  if constexpr (kIsDual<T>) {
    bool all = bounded(a.value);
    for (const auto& h : a.tangent) all = all && bounded(h);
    return all;
  } else {
    return a - a == T(0);
  }
}

// Whether K tangents are multiplied as they are once their slope is known to be bounded: one look at it is cheaper than
// many selections. Under -ffast-math, which promises that there are no infinities, it costs nothing at all.
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
template <int K>
inline constexpr bool kLooksFirst = true;
#else
template <int K>
inline constexpr bool kLooksFirst = K > 1;
#endif

// The dual with this value whose tangents are slope · h.
template <int K, class T, class S>
constexpr Dual<T, K> along(const T& value, const S& slope, const T (&h)[K]) {
  if (kLooksFirst<K> && bounded(slope)) return with_tangents<K>(value, [&](int k) { return T(h[k] * slope); });
  return with_tangents<K>(value, [&](int k) { return scaled(slope, h[k]); });
}

// The dual with this value whose tangents are slope_g · g + slope_h · h.
template <int K, class T>
constexpr Dual<T, K> along(const T& value, const T& slope_g, const T (&g)[K], const T& slope_h, const T (&h)[K]) {
  if (kLooksFirst<K> && bounded(T(slope_g + slope_h))) {
    return with_tangents<K>(value, [&](int k) { return T(slope_h * h[k] + g[k] * slope_g); });
  }
  return with_tangents<K>(value, [&](int k) { return T(scaled(slope_h, h[k]) + scaled(slope_g, g[k])); });
}

}  // namespace detail

template <class T, int K>
constexpr Dual<T, K> operator+(const Dual<T, K>& a) {
  return a;
}

// −(a + h) = −a − h
template <class T, int K>
constexpr Dual<T, K> operator-(const Dual<T, K>& a) {
  return detail::with_tangents<K>(T(-a.value), [&](int k) { return -a.tangent[k]; });
}

// (a + g) + (b + h) = a + b + (g + h)
template <class T, int K>
constexpr Dual<T, K> operator+(const Dual<T, K>& a, const Dual<T, K>& b) {
  return detail::with_tangents<K>(T(a.value + b.value), [&](int k) { return a.tangent[k] + b.tangent[k]; });
}

// (a + g) + s = a + s + g
template <class T, int K, ConstantOf<T> S>
constexpr Dual<T, K> operator+(const Dual<T, K>& a, const S& s) {
  return detail::with_tangents<K>(T(a.value + detail::constant<T>(s)), [&](int k) { return a.tangent[k]; });
}

template <class T, int K, ConstantOf<T> S>
constexpr Dual<T, K> operator+(const S& s, const Dual<T, K>& a) {
  return a + s;
}

// (a + g) − (b + h) = a − b + (g − h)
template <class T, int K>
constexpr Dual<T, K> operator-(const Dual<T, K>& a, const Dual<T, K>& b) {
  return detail::with_tangents<K>(T(a.value - b.value), [&](int k) { return a.tangent[k] - b.tangent[k]; });
}

// (a + g) − s = a − s + g
template <class T, int K, ConstantOf<T> S>
constexpr Dual<T, K> operator-(const Dual<T, K>& a, const S& s) {
  return detail::with_tangents<K>(T(a.value - detail::constant<T>(s)), [&](int k) { return a.tangent[k]; });
}

// s − (b + h) = s − b − h
template <class T, int K, ConstantOf<T> S>
constexpr Dual<T, K> operator-(const S& s, const Dual<T, K>& b) {
  return detail::with_tangents<K>(T(detail::constant<T>(s) - b.value), [&](int k) { return -b.tangent[k]; });
}

// (a + g)(b + h) ~= a b + (a h + g b)
template <class T, int K>
constexpr Dual<T, K> operator*(const Dual<T, K>& a, const Dual<T, K>& b) {
  return detail::along(T(a.value * b.value), b.value, a.tangent, a.value, b.tangent);
}

// (a + g) s = a s + g s
template <class T, int K, ConstantOf<T> S>
constexpr Dual<T, K> operator*(const Dual<T, K>& a, const S& s) {
  const auto c = detail::constant<T>(s);
  return detail::along(T(a.value * c), c, a.tangent);
}

template <class T, int K, ConstantOf<T> S>
constexpr Dual<T, K> operator*(const S& s, const Dual<T, K>& a) {
  return a * s;
}

// (a + g) / (b + h) ~= q + (g − q h) / b,  q = a / b
// As for double, b = 0 gives inf or NaN.
template <class T, int K>
constexpr Dual<T, K> operator/(const Dual<T, K>& a, const Dual<T, K>& b) {
  const T quotient = a.value / b.value;
  const T inverse = T(1) / b.value;
  if (detail::bounded(quotient) && detail::bounded(inverse)) {
    return detail::with_tangents<K>(quotient,
                                    [&](int k) { return (a.tangent[k] - quotient * b.tangent[k]) * inverse; });
  }
  return detail::with_tangents<K>(quotient, [&](int k) {
    const T rise = a.tangent[k] - detail::scaled(quotient, b.tangent[k]);
    return detail::is_zero(rise) ? T(0) : T(rise / b.value);
  });
}

// (a + g) / s = a / s + g / s
template <class T, int K, ConstantOf<T> S>
constexpr Dual<T, K> operator/(const Dual<T, K>& a, const S& s) {
  const auto c = detail::constant<T>(s);
  const T quotient = a.value / c;
  if (detail::bounded(quotient)) return detail::with_tangents<K>(quotient, [&](int k) { return a.tangent[k] / c; });
  return detail::with_tangents<K>(quotient,
                                  [&](int k) { return detail::is_zero(a.tangent[k]) ? T(0) : T(a.tangent[k] / c); });
}

// s / (b + h) ~= q − (q / b) h,  q = s / b
template <class T, int K, ConstantOf<T> S>
constexpr Dual<T, K> operator/(const S& s, const Dual<T, K>& b) {
  const T quotient = detail::constant<T>(s) / b.value;
  const T slope = -quotient / b.value;
  return detail::along(quotient, slope, b.tangent);
}

// "3 + (1, 0)h"
template <class T, int K>
std::ostream& operator<<(std::ostream& out, const Dual<T, K>& a) {
  out << a.value << " + (" << a.tangent[0];
  for (int k = 1; k < K; ++k) out << ", " << a.tangent[k];
  return out << ")h";
}

}  // namespace slopewise

// The limits of the value; as numbers they are constants.
template <class T, int K>
struct std::numeric_limits<slopewise::Dual<T, K>> : std::numeric_limits<T> {
  using Dual = slopewise::Dual<T, K>;
  static constexpr Dual min() noexcept { return std::numeric_limits<T>::min(); }
  static constexpr Dual lowest() noexcept { return std::numeric_limits<T>::lowest(); }
  static constexpr Dual max() noexcept { return std::numeric_limits<T>::max(); }
  static constexpr Dual epsilon() noexcept { return std::numeric_limits<T>::epsilon(); }
  static constexpr Dual round_error() noexcept { return std::numeric_limits<T>::round_error(); }
  static constexpr Dual infinity() noexcept { return std::numeric_limits<T>::infinity(); }
  static constexpr Dual quiet_NaN() noexcept { return std::numeric_limits<T>::quiet_NaN(); }
  static constexpr Dual signaling_NaN() noexcept { return std::numeric_limits<T>::signaling_NaN(); }
  static constexpr Dual denorm_min() noexcept { return std::numeric_limits<T>::denorm_min(); }
};
