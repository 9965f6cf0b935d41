// Estimators: from slopes and probes to a gradient, each with its own predicted bias and variance.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/estimate/estimate.hpp"
#include "slopewise/objective/objective.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

// What theory says of an estimate, given the gradient and what the estimator remembers. Nothing here looks at a sample.
class Prediction {
 public:
  virtual ~Prediction() = default;
  // E[g] (n); ∇ where the estimator is unbiased.
  virtual std::vector<double> mean(const GradientView& gradient) const;
  // c in E[g] = c ∇ + (something orthogonal to ∇): 1 where the estimator is unbiased.
  double mean_factor(const GradientView& gradient) const;
  // V[g_i] for each i (n).
  virtual std::vector<double> entry_variances(const GradientView& gradient) const = 0;
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
  // The estimate at θ; `step` picks the tangents. A function of these and of what was learned. Throws what the
  // objective throws.
  virtual GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) = 0;

  // Takes an estimate made by estimate() into what this estimator remembers for later ones: a prior, scales, a
  // subspace. As that is known before the next tangents are drawn, it costs no bias.
  virtual void learn(const GradientEstimate&) {}
  // What was learned, by name, and from how many estimates; nothing for estimators that do not learn.
  virtual StateView<double> state() const { return {}; }
  // Goes on where the estimator that had this state was. Throws ArgumentError for other names or a negative count,
  // ShapeError for other sizes, and changes nothing then.
  virtual void restore(const StateView<double>& state) { detail::check_state(name(), state, {}); }
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
  // γ in (0, 1] of running means of past estimates, m += γ (g − m) (1 − γ is the momentum β); 0: SNR/(1 + SNR) of the
  // law, which brings m to a constant ∇ fastest.
  double learning_share = 0;
  double isotropic_share = 0.5;  // α in (0, 1] of "guided": the part of E‖v‖² that is the same in all directions
  Index subspace = 8;            // of "guided": past estimates that span its subspace
  TangentStorage storage = TangentStorage::kAuto;
};

// "forward": (1/K) Σ s_k v_k, the forward gradient (Baydin et al. 2022). "shrunk": that times SNR/(1 + SNR), the least
// mean squared error; biased. "projection": V (VᵀV)⁻¹ s, the part of ∇ in the tangents' span (Flügel et al. 2024, arXiv
// 2410.17764), biased by K/n; for the rotation-invariant laws. "frame": the forward gradient along K orthogonal
// tangents, (n/K) P∇. "central": the same as "forward" with slopes by central differences of the loss (SPSA, Spall
// 1992; MeZO, Malladi et al. 2023). "exact": the pullback.
//
// With m the running mean of past estimates, all unbiased: "momentum": m + (1/K) Σ (s_k − m·v_k) v_k.
// "momentum-fitted": the same with a m, a fitted to the slopes of earlier steps. "momentum-tangent": the same with a
// from one more slope, along m: that component of ∇ is exact. "block-scales": tangents scaled block by block to the
// gradient's norms there, which one more slope for each block finds. "entry-scales": tangents scaled entry by entry by
// 1/√|m_i|.
//
// "blocks": K slopes for each block alone. "guided": tangents partly in the span of past estimates (Maheswaranathan et
// al. 2019, arXiv 1806.10230), biased towards it; Gaussian.
const std::vector<std::string>& estimator_names();
std::string_view estimator_summary(std::string_view name);
// Throws ArgumentError for an unknown name or options that do not fit.
template <class T>
std::unique_ptr<Estimator<T>> make_estimator(std::string_view name, const ParameterLayout& layout,
                                             const EstimatorOptions& options);

}  // namespace slopewise
