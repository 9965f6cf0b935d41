// Scales σ of tangents v = D z, D = diag(σ), z of any law: g = D⁻¹ (∇·v) z is unbiased and has the variance
// σ_i⁻² V_z[(D∇)_i], V_z that of the law's own forward gradient. Multiplying all σ by one number changes nothing.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "slopewise/estimate/estimate.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

class Scales {
 public:
  virtual ~Scales() = default;
  // Whether entries of one block share a scale, so that tangents keep their forms.
  virtual bool by_block() const = 0;
  // D^power z for the tangents z of a draw.
  virtual std::shared_ptr<const Draw> scaled(std::shared_ptr<const Draw> draw, int power) const = 0;
  // x_i times σ_i^power (n).
  virtual void apply(std::span<double> x, int power) const = 0;
  // Takes in the estimate of a step.
  virtual void learn(const GradientEstimate& estimate) = 0;
  virtual StateView<double> state() const = 0;
  // `state` has the names and sizes of state().
  virtual void restore(const StateView<double>& state) = 0;
};

// σ_b² ∝ √n_b/‖∇_b‖ for block b of n_b entries, which gives the least total variance, (Σ_b √n_b ‖∇_b‖)²/K in place of
// n‖∇‖²/K. ‖∇_b‖² is a running mean of squared block slopes. Slopes across all blocks cannot stand in for them: what
// they say of one block lies under the noise of all, at an SNR of 1/n.
std::unique_ptr<Scales> block_scales(const ParameterLayout& layout);

// σ_i² ∝ 1/√(m_i² + τ_i²), m the running mean of estimates with share γ and τ_i² its variance: the best, 1/|∇_i|, as
// far as m is known, and flat while it is noise. Throws ArgumentError unless 0 < γ ≤ 1.
std::unique_ptr<Scales> entry_scales(Index size, double share);

}  // namespace slopewise
