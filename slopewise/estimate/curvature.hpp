// What a loss's curvature says of steps along gradients and their estimates, measured by second-order forward mode.
#pragma once

#include <cstdint>
#include <vector>

#include "slopewise/objective/objective.hpp"
#include "slopewise/optimize/optimizer.hpp"
#include "slopewise/optimize/step_outlook.hpp"
#include "slopewise/probe/probe.hpp"

namespace slopewise {

// Of the Hessian H at θ. A step with g = (1/K) Σ s_k v_k, v Gaussian, has signal ‖∇‖² and bend
// (tr H + (K + 1) λ)‖∇‖²/K; one with ∇ has λ‖∇‖².
struct Curvature {
  double trace = 0;           // tr H
  double along_gradient = 0;  // λ = ∇ᵀH∇/‖∇‖²

  // The directions over which curvature is spread, in units of the gradient's: tr H/λ.
  double effective_dimension() const { return trace / along_gradient; }
  // In units of ‖∇‖². With gradients of mini-batches, `factor` is E‖∇_B‖²/‖∇‖² and λ that along them.
  StepOutlook forward(double tangents = 1, double factor = 1) const {
    return {1, factor * (trace + (tangents + 1) * along_gradient) / tangents};
  }
  StepOutlook exact(double factor = 1) const { return {1, factor * along_gradient}; }
  // η* = 2/(tr H + 2λ) for K = 1, and 2/λ for steps with ∇.
  double highest_rate() const { return forward().highest_rate(); }
  double highest_exact_rate() const { return exact().highest_rate(); }
  // r = (tr H + 2λ)/λ: steps with g, K = 1, each at its best η, that descend as far as one with ∇. At least 3 if H has
  // no negative eigenvalue.
  double slowdown() const { return highest_exact_rate() / highest_rate(); }
};

// vᵀHv along `samples` Gaussian tangents, whose mean is tr H. Throws what the objective throws.
std::vector<double> sample_curvatures(Objective<float>& objective, const Parameters<float>& parameters, Index samples,
                                      std::uint64_t seed, Index tangents_at_once);

// The slope and the second-order term along a step's direction d, one of each: ∇·d and dᵀHd. Takes a vector of n where
// the direction is not written out. Throws what the objective throws.
template <class T>
Slopes look_along(Objective<T>& objective, const Parameters<T>& parameters, const StepDirection& direction);
// The forms of the tangent that it asks along.
std::vector<TangentForm> direction_forms(const ParameterLayout& layout);

// gᵀHg.
double curvature_along(Objective<float>& objective, const Parameters<float>& parameters, std::span<const float> g);

// tr H as the mean of `samples` vᵀHv, and λ along the exact gradient. Throws NumericError if λ or tr H + 2λ is not
// positive, so that no rate above says anything.
Curvature measure_curvature(Objective<float>& objective, const Parameters<float>& parameters,
                            const GradientView& gradient, Index samples, std::uint64_t seed);

// λ_max, and a bound on how far the nearest eigenvalue is from it.
struct LargestCurvature {
  double value = 0, error = 0;
};
// By `steps` steps of Lanczos' method from `start` (n), with products Hv as differences of exact gradients,
// (∇(θ + εv) − ∇(θ − εv))/2ε, where ε is found by vᵀHv. What it finds is at most λ_max but for their error. Takes four
// vectors of n. Throws ArgumentError where there is no exact gradient, or start is 0, and what the objective throws.
LargestCurvature largest_curvature(Objective<float>& objective, const Parameters<float>& parameters,
                                   std::span<const float> start, int steps);

}  // namespace slopewise
