// What changes an estimator's gradient, or what it sees: each wraps any estimator and is one itself. make_estimator
// (estimator.hpp) puts them together by EstimatorOptions.
#pragma once

#include <functional>
#include <memory>

#include "slopewise/estimate/estimator.hpp"

namespace slopewise {

// Slopes count for at most a limit (optimize/clip.hpp): `limit`, or what a share `quantile` of earlier ones stayed
// within; infinity and 1 where there is none. What the estimator learns from is the clipped estimate. The prediction is
// known where its slopes are Gaussian, s ~ N(0, ‖∇‖²), h = clip(s) and a = limit/‖∇‖:
//   E[g] = P(|s| ≤ limit) ∇ (Stein's lemma),  V[g_i] = (E[h²] (1 − ∇_i²/‖∇‖²) + E[h²s²] ∇_i²/‖∇‖⁴ − P² ∇_i²) / K.
template <class T>
std::unique_ptr<Estimator<T>> clipped_estimator(std::unique_ptr<Estimator<T>> inner, double limit, double quantile);

// The gradient of the parameters after the last site is exact, and the estimator's is that of the rest (the body):
// BodyObjective. `make` makes it for the body's layout. Throws ArgumentError for a program without sites, and for an
// estimator by differences of losses.
template <class T>
std::unique_ptr<Estimator<T>> exact_head_estimator(
    const EstimatorTarget& target, const std::function<std::unique_ptr<Estimator<T>>(const EstimatorTarget&)>& make);

// The estimate over the standard deviation of its slopes along `tangents` tangents: FZOO. Its estimate() throws
// NumericError where all slopes are alike. Throws ArgumentError for an estimator other than "one-sided", and fewer than
// 2 tangents.
template <class T>
std::unique_ptr<Estimator<T>> per_deviation_estimator(std::unique_ptr<Estimator<T>> inner, Index tangents);

// Second-order terms are taken in all of the first steps, in which curvature changes most, and then in one of so many.
inline constexpr Index kFirstCurved = 50, kCurvedEvery = 10;

// rate() is AutoRate's (optimize/auto_rate.hpp), from the slopes of every step and second-order terms of some. Slopes
// beyond its limit are clipped. Throws ArgumentError for an estimator other than "forward" and "central".
template <class T>
std::unique_ptr<Estimator<T>> auto_rate_estimator(std::unique_ptr<Estimator<T>> inner);

}  // namespace slopewise
