// The exact derivatives of any generic function of a vector, in forward mode.
//
// A function f here is a callable that takes std::span<const S> and returns S, for S = double and for duals:
//
//   const auto f = []<class S>(std::span<const S> x) { return x[0] * x[0] + 3.0 * x[1]; };
//   auto [value, slope] = slopewise::slope(f, x, v);  // f(x) and ∇f(x)·v
//
// All verbs throw ArgumentError if the sizes of point and tangents do not fit, and pass on what f throws.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "slopewise/dual/functions.hpp"

namespace slopewise {

template <class F>
concept ScalarFunction = requires(const F& f, std::span<const double> x, std::span<const Dual<double, 1>> h) {
  { f(x) } -> std::convertible_to<double>;
  { f(h) } -> std::convertible_to<Dual<double, 1>>;
};

namespace detail {

// Says, where it is instantiated for another callable, what is wrong with it.
template <class F>
struct Generic {
  static_assert(
      ScalarFunction<F>,
      "the function must be generic, as it is called with numbers and with duals: write "
      "[]<class S>(std::span<const S> x) { ... }, return an S, and say `using std::sin; sin(x[0])` in place of "
      "std::sin(x[0])");
};

}  // namespace detail

struct ValueAndSlope {
  double value;
  double slope;
};

struct ValueAndSlopes {
  double value;
  std::vector<double> slopes;
};

struct ValueAndCurvature {
  double value;
  double slope;
  double curvature;
};

struct ValueAndGradient {
  double value;
  std::vector<double> gradient;
};

namespace detail {

// The tangents that one pass of `slopes` and `gradient` carries: one AVX-512 register, two AVX2 ones. On Rosenbrock
// eight together cost less than three passes of one.
inline constexpr int kPassWidth = 8;

// Throws ArgumentError unless the tangent has as many entries as the point.
void check_tangent(std::string_view function, std::size_t point_size, std::size_t tangent_size);
// Throws ArgumentError unless the tangents are one or more whole rows of the point's size.
void check_tangents(std::string_view function, std::size_t point_size, std::size_t tangents_size);

// One pass over f with the rows of a (count, n) array as tangents, 1 ≤ count ≤ W; any others are zero.
template <int W, class F>
Dual<double, W> pass(const F& f, std::span<const double> x, std::span<const double> rows) {
  std::vector<Dual<double, W>> point(x.begin(), x.end());
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t k = 0; k * x.size() < rows.size(); ++k) point[i].tangent[k] = rows[k * x.size() + i];
  }
  return f(std::span<const Dual<double, W>>(point));
}

}  // namespace detail

// f(x) and its slope ∇f(x)·v along v.
template <class F>
ValueAndSlope slope(const F& f, std::span<const double> x, std::span<const double> v) {
  detail::Generic<F>();
  detail::check_tangent("slope", x.size(), v.size());
  const Dual<double, 1> y = detail::pass<1>(f, x, v);
  return {.value = y.value, .slope = y.tangent[0]};
}

// f(x) and its slopes along K ≥ 1 tangents, which are the rows of a row-major (K, n) array. It takes ⌈K/8⌉ passes.
template <class F>
ValueAndSlopes slopes(const F& f, std::span<const double> x, std::span<const double> tangents) {
  detail::Generic<F>();
  detail::check_tangents("slopes", x.size(), tangents.size());
  const std::size_t count = tangents.size() / x.size();
  ValueAndSlopes result{.value = 0, .slopes = {}};
  result.slopes.reserve(count);
  const auto take = [&]<int W>(std::span<const double> rows, const Dual<double, W>& y) {
    result.value = y.value;
    result.slopes.insert(result.slopes.end(), y.tangent, y.tangent + rows.size() / x.size());
  };
  for (std::size_t done = 0; done < count; done += detail::kPassWidth) {
    const std::size_t taken = std::min<std::size_t>(count - done, detail::kPassWidth);
    const auto rows = tangents.subspan(done * x.size(), taken * x.size());
    // The last rows go through the narrowest pass that holds them.
    if (taken == 1) {
      take(rows, detail::pass<1>(f, x, rows));
    } else if (taken <= detail::kPassWidth / 2) {
      take(rows, detail::pass<detail::kPassWidth / 2>(f, x, rows));
    } else {
      take(rows, detail::pass<detail::kPassWidth>(f, x, rows));
    }
  }
  return result;
}

// f(x), its slope and its second derivative vᵀHv along v, H the Hessian of f at x.
template <class F>
ValueAndCurvature curvature(const F& f, std::span<const double> x, std::span<const double> v) {
  detail::Generic<F>();
  detail::check_tangent("curvature", x.size(), v.size());
  using First = Dual<double, 1>;
  using Second = Dual<First, 1>;
  std::vector<Second> point;
  point.reserve(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) point.emplace_back(First(x[i], v[i]), v[i]);
  const Second y = f(std::span<const Second>(point));
  return {.value = y.value.value, .slope = y.value.tangent[0], .curvature = y.tangent[0].tangent[0]};
}

// f(x) and its exact gradient, by ⌈n/8⌉ passes over the coordinate directions.
template <class F>
ValueAndGradient gradient(const F& f, std::span<const double> x) {
  detail::Generic<F>();
  using D = Dual<double, detail::kPassWidth>;
  ValueAndGradient result{.value = 0, .gradient = std::vector<double>(x.size())};
  std::vector<D> point(x.begin(), x.end());
  std::size_t first = 0;
  do {  // once even if x is empty, for the value
    const std::size_t count = std::min<std::size_t>(detail::kPassWidth, x.size() - first);
    for (std::size_t k = 0; k < count; ++k) point[first + k].tangent[k] = 1;
    const D y = f(std::span<const D>(point));
    for (std::size_t k = 0; k < count; ++k) point[first + k].tangent[k] = 0;
    std::copy_n(y.tangent, count, result.gradient.begin() + first);
    result.value = y.value;
    first += count;
  } while (first < x.size());
  return result;
}

}  // namespace slopewise
