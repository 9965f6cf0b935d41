// Estimators: from slopes and probes to a gradient, each with its own predicted bias and variance.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/estimate/estimate.hpp"
#include "slopewise/objective/objective.hpp"

namespace slopewise {

// What theory says of an estimate, given the gradient. Nothing here looks at a sample.
class Prediction {
 public:
  virtual ~Prediction() = default;
  // E[g] = mean_factor() ∇; 1 where the estimator is unbiased.
  virtual double mean_factor() const { return 1; }
  // V[g_i].
  virtual double entry_variance(const GradientView& gradient, Index i) const = 0;
  // tr V = E‖g − E g‖².
  virtual double total_variance(const GradientView& gradient) const = 0;
};

template <class T>
class Estimator : public Prediction {
 public:
  virtual std::string_view name() const = 0;
  // Cost of one estimate in slopes (forward passes with a tangent), and in losses beside them.
  virtual Index slopes() const = 0;
  virtual Index losses() const { return 0; }
  // The estimate at θ; `step` picks the tangents. Throws what the objective throws.
  virtual GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) = 0;
};

// Where dense tangents are between the pushforward and the step: in memory, drawn once; or nowhere, drawn again
// wherever they are needed. kAuto stores what takes longer to draw than to read, as long as it is at most a quarter of
// the machine's free memory. An estimate in float holds on to stored ones: to keep many estimates, take kDrawn.
enum class TangentStorage { kAuto, kStored, kDrawn };

struct EstimatorOptions {
  std::string law = "gaussian";  // of the tangents (probe.hpp)
  Index tangents = 1;            // K
  std::uint64_t seed = 1;
  double epsilon = 1e-3;  // step of central differences
  TangentStorage storage = TangentStorage::kAuto;
};

// "forward": (1/K) Σ s_k v_k, the forward gradient (Baydin et al. 2022). "projection": V (VᵀV)⁻¹ s, the part of ∇ in
// the tangents' span (Flügel et al. 2024, arXiv 2410.17764), biased by K/n; for the rotation-invariant laws. "frame":
// the forward gradient along K orthogonal tangents, (n/K) P∇. "central": the same as "forward" with slopes by central
// differences of the loss (SPSA, Spall 1992; MeZO, Malladi et al. 2023). "exact": the pullback.
const std::vector<std::string>& estimator_names();
std::string_view estimator_summary(std::string_view name);
// Throws ArgumentError for an unknown name or options that do not fit.
template <class T>
std::unique_ptr<Estimator<T>> make_estimator(std::string_view name, const ParameterLayout& layout,
                                             const EstimatorOptions& options);

}  // namespace slopewise
