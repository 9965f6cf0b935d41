// Forward gradients informed by what earlier steps found.
#pragma once

#include "slopewise/estimate/estimator.hpp"
#include "slopewise/estimate/prior.hpp"
#include "slopewise/estimate/scales.hpp"

namespace slopewise {

// The a that multiplies a prior m. The variance is least at ∇·m/‖m‖², where 1 − cos²(m, ∇) of it is left.
enum class PriorScale {
  kOne,       // a = 1
  kFitted,    // a = Σ s (m·v) / Σ (m·v)² over the slopes of earlier steps
  kMeasured,  // a = ∇·m/‖m‖² from one more slope, along m: g has that component of ∇ exactly, on average
};

struct Information {
  std::unique_ptr<Prior> prior;  // null: none
  PriorScale prior_scale = PriorScale::kOne;
  std::unique_ptr<Scales> scales;  // null: none
};

// g = a m + D⁻¹ (1/K) Σ_k (s_k − a m·v_k) z_k with v_k = D z_k, z_k of the law: unbiased, as a, m and D are known
// before the z are drawn, and V[g_i] = σ_i⁻² V_z[(D(∇ − a m))_i] with V_z the law's own. Slopes: K, one more for
// kMeasured once there is an m, and one more for each block where scales go by block. Throws ArgumentError for options
// that do not fit, among them a prior_scale of kOne for running means that would diverge (prior.hpp).
template <class T>
std::unique_ptr<Estimator<T>> informed_estimator(std::string name, const ParameterLayout& layout,
                                                 const EstimatorOptions& options, Information information);

}  // namespace slopewise
