// Steps from second-order forward mode: where along tangents the loss is least, by slopes s = ∇·v and second-order
// terms c = vᵀHv of the same visit.
#pragma once

#include <span>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// The rate η of a step θ −= η s v along one tangent. The loss there is L − η s² + ½ η² s² c to second order: least at
// η = 1/c, where it has fallen by s²/(2 c). Where c ≤ 0 it falls all the way and η is `most`, as it is wherever 1/c is
// more: what bounds trust in the second order. Throws ArgumentError unless most > 0, NumericError for a curvature that
// is not finite.
double line_search_rate(double curvature, double most);

// The step θ −= Σ_k t_k v_k to the least point of the second-order model in the span of K tangents (Cobb et al. 2024,
// arXiv 2408.10419): t = (VᵀHV + λI)⁻¹ s.
struct HyperplaneStep {
  std::vector<double> coefficients;  // K: t
  double damping = 0;                // λ
};

// `curvatures` are vᵀHv along v_1 … v_K and the sums v_i + v_j, i < j, in the order of with_pair_sums
// (probe/pairs.hpp): the off-diagonal v_iᵀHv_j is half of what a sum has more than its parts. λ starts at `damping`
// times the mean |v_kᵀHv_k| and grows tenfold until the matrix is positive definite; then t is shortened to ‖t‖ ≤ most
// ‖s‖, the bound of line_search_rate. Throws ShapeError unless there are K (K + 1)/2 curvatures, ArgumentError unless
// damping ≥ 0 and most > 0, NumericError for numbers that are not finite.
HyperplaneStep hyperplane_step(std::span<const double> slopes, std::span<const double> curvatures, double damping,
                               double most);

}  // namespace slopewise
