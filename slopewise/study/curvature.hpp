// What a loss's curvature says of forward gradients' steps, measured by second-order forward mode.
#pragma once

#include "slopewise/study/context.hpp"

namespace slopewise {

// Of the Hessian H at θ. A step with g = s v, v Gaussian, changes a quadratic by −η‖∇‖² + ½η²(tr H ‖∇‖² + 2∇ᵀH∇) on
// average, one with ∇ by −η‖∇‖² + ½η²∇ᵀH∇.
struct Curvature {
  double trace = 0;           // tr H
  double along_gradient = 0;  // λ = ∇ᵀH∇/‖∇‖²

  // The directions over which curvature is spread, in units of the gradient's: tr H/λ.
  double effective_dimension() const { return trace / along_gradient; }
  // η* = 2/(tr H + 2λ): the largest η with expected descent. Half of it descends fastest.
  double highest_rate() const { return 2 / (trace + 2 * along_gradient); }
  // 2/λ, the same for steps with ∇.
  double highest_exact_rate() const { return 2 / along_gradient; }
  // r = (tr H + 2λ)/λ: steps with g, each at its best η, that descend as far as one with ∇. At least 3 if H has no
  // negative eigenvalue.
  double slowdown() const { return highest_exact_rate() / highest_rate(); }
};

// tr H as the mean of vᵀHv over `samples` Gaussian tangents, and λ along the exact gradient. Throws NumericError if λ
// or tr H + 2λ is not positive, so that no rate above says anything.
Curvature measure_curvature(const Subject& subject, Index samples, std::uint64_t seed);

}  // namespace slopewise
