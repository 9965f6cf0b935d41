// Priors for the gradient: vectors known before the tangents are drawn.
#pragma once

#include <memory>
#include <vector>

#include "slopewise/estimate/estimate.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

class Prior {
 public:
  virtual ~Prior() = default;
  // m (n); null while nothing is known. What it points to never changes, so estimates may keep it.
  virtual std::shared_ptr<const std::vector<double>> vector() const = 0;
  // Takes in the estimate of a step.
  virtual void learn(const GradientEstimate&) {}
  virtual StateView<double> state() const { return {}; }
  // `state` has the names and sizes of state().
  virtual void restore(const StateView<double>&) {}
};

// m, and nothing learned.
std::unique_ptr<Prior> fixed_prior(std::vector<double> m);

// The running mean of estimates, m += γ (g − m) from m = 0: momentum β = 1 − γ. Throws ArgumentError unless 0 < γ ≤ 1.
// As control variate, where g = m + (plain estimate of ∇ − m), a constant ∇ gives
//   E‖m′ − ∇‖² = (1 − 2γ + γ²(1 + 1/SNR)) ‖m − ∇‖²,
// with SNR the law's K/(n + κ − 2): m diverges from γ = 2 SNR/(1 + SNR) on, about 2K/n, and comes nearest in one step
// at half of that. It follows a ∇ that changes over fewer than 1/γ steps, n/K or more, not at all.
std::unique_ptr<Prior> running_mean_prior(Index size, double share);

}  // namespace slopewise
