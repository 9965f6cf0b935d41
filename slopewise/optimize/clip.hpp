// Clipping: bounds on how far one unlucky gradient can go, paid for with bias.
#pragma once

#include <limits>
#include <span>
#include <vector>

#include "slopewise/tensor/state.hpp"

namespace slopewise {

// min(1, limit / ‖g‖), what a gradient is multiplied by to have at most the norm `limit` (Pascanu et al. 2013).
// Bias: E[factor · g] ≠ E[g] wherever the limit is ever met, as the longest g, which carry most of the mean, are
// shortened. Along one tangent of a rotation-invariant law the mean keeps its direction, by symmetry, and its length is
// that of slopes clipped at limit/‖v‖ (below). Averaged over different examples it may turn.
double norm_factor(double squared_norm, double limit);

// min(1, limit / |s_k|) for each slope: what the coefficient of tangent k is multiplied by (see
// GradientEstimate::scale_coefficients) where a slope counts for at most `limit`.
// Bias: for Gaussian tangents clip(s) v has the mean P(|s| ≤ limit) ∇ (Stein's lemma: E[f(s) v] = E[f′(s)] ∇), shorter
// than ∇ but not turned, with s ~ N(0, ‖∇‖²). For other rotation-invariant laws it is not turned either; for the rest
// it may be, as a tangent's few large slopes point to large entries of ∇. Throws ArgumentError unless limit > 0.
std::vector<double> slope_factors(std::span<const double> slopes, double limit);

// The limit that a share `quantile` of slopes stays within, followed from step to step by stochastic approximation
// (Robbins & Monro 1951): log L += pace (1{|s| > L} − (1 − quantile)) for each slope. Limits that slopes of earlier
// steps give do not depend on those that are clipped, so the bias is as slope_factors says: Gaussian slopes keep the
// share `quantile` of their mean.
class SlopeQuantile {
 public:
  // Throws ArgumentError unless quantile and pace lie between 0 and 1.
  explicit SlopeQuantile(double quantile, double pace = 0.02);
  // Infinite before the first slopes, then the largest of these, then the recursion.
  double limit() const { return state_[0].values[0]; }
  // Takes in the slopes of one step, after they were clipped. Throws NumericError for one that is not finite.
  void watch(std::span<const double> slopes);
  // The slopes seen so far, and "limit".
  StateView<double> state() const { return detail::view_of(seen_, state_); }
  // Throws as Optimizer::restore does.
  void restore(const StateView<double>& state);

 private:
  double quantile_, pace_;
  Index seen_ = 0;
  std::vector<NamedVector<double>> state_{{"limit", {std::numeric_limits<double>::infinity()}}};
};

}  // namespace slopewise
