// Estimators: from slopes and probes to a gradient, each with its own predicted bias and variance.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "slopewise/estimate/activity_options.hpp"
#include "slopewise/estimate/estimate.hpp"
#include "slopewise/objective/answers.hpp"
#include "slopewise/objective/objective.hpp"
#include "slopewise/optimize/step_outlook.hpp"
#include "slopewise/program/program.hpp"
#include "slopewise/program/sites.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

// What theory says of an estimate, given the gradient and what the estimator remembers. Nothing here looks at a sample.
// What is not known is NaN.
class Prediction {
 public:
  virtual ~Prediction() = default;
  // E[g] (n); ∇ where the estimator is unbiased. Leaves out the bias of central differences, which the gradient does
  // not tell.
  virtual std::vector<double> mean(const GradientView& gradient) const;
  // c in E[g] = c ∇ + (something orthogonal to ∇): 1 where the estimator is unbiased.
  double mean_factor(const GradientView& gradient) const;
  // V[g_i] for each i (n).
  virtual std::vector<double> entry_variances(const GradientView& gradient) const = 0;
  // tr V = E‖g − E g‖².
  virtual double total_variance(const GradientView& gradient) const = 0;
  // E[g·∇/(‖g‖ ‖∇‖)].
  virtual double mean_cosine(const GradientView& gradient) const;
};

// Predictions of the estimator itself are those that follow from ∇ alone.
template <class T>
class Estimator : public Prediction {
 public:
  virtual std::string_view name() const = 0;
  // Cost of one estimate in slopes (forward passes with a tangent), and in losses beside them.
  virtual Index slopes() const = 0;
  virtual Index losses() const { return 0; }
  // The most that one estimate has of its objective, where that is numbers along tangents alone: from these an estimate
  // is made again without the objective. No tangents where it needs more, or may need more.
  virtual AnswerKinds asks() const { return {}; }
  // The estimate at θ; `step` picks the tangents. A function of these and of what was learned. Throws what the
  // objective throws.
  virtual GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) = 0;
  // The same where θ itself may be moved for the while: estimators by differences of losses then need no copy of it,
  // and leave θ within rounding of what it was. What training calls.
  virtual GradientEstimate estimate_in_place(Objective<T>& objective, Parameters<T>& parameters, std::uint32_t step) {
    return estimate(objective, parameters, step);
  }
  // What an estimate needs, tangents and what is remembered among it; the objective's batch is that of the steps.
  virtual Demand demand(Objective<T>& objective) const;
  // Whether its estimates are vectors of Ts in memory, so that an optimizer that needs one makes no copy.
  virtual bool dense() const { return false; }
  // Whether g = (1/K) Σ s_k v_k along independent standard normal tangents, so that what clipping does follows.
  virtual bool slopes_are_gaussian() const { return false; }
  // The prediction at θ, where more than ∇ decides it; this estimator's own otherwise. Valid until the next learn(),
  // and as long as estimator and objective. Throws what the objective throws.
  virtual std::shared_ptr<const Prediction> prediction(Objective<T>& objective, const Parameters<T>& parameters);

  // Takes the last estimate into what this estimator remembers for later ones: a prior, scales, a subspace, a rate. As
  // that is known before the next tangents are drawn, it costs no bias. `pace`: the share of the full pace at which
  // priors of activities learn, beside the learning rate's share of its largest.
  virtual void learn(const GradientEstimate&, double /*pace*/ = 1) {}
  // What was learned, in parts by name; nothing for estimators that do not learn.
  virtual std::vector<StatePart> state() const { return {}; }
  // Goes on where the estimator that had this state was. Throws ArgumentError for other names or a negative count,
  // ShapeError for other sizes, and changes nothing then.
  virtual void restore(const std::vector<StatePart>& state);
  // The learning rate for the next step, where the estimator knows one.
  virtual std::optional<double> rate() const { return std::nullopt; }
  // What it then knows of steps along its estimates.
  virtual std::optional<StepOutlook> outlook() const { return std::nullopt; }
  // ‖∂loss/∂h − m‖² over ‖∂loss/∂h‖² at each site, m what is expected there, from slopes of tangents that enter there
  // alone; empty where nothing is expected.
  virtual std::vector<double> residuals(Objective<T>&, const Parameters<T>&, std::uint32_t /*step*/) { return {}; }
};

// Where dense tangents are between the pushforward and the step: in memory, drawn once; or nowhere, drawn again
// wherever they are needed. kAuto stores what takes longer to draw than to read, as long as it is at most a quarter of
// the machine's free memory. An estimate in float holds on to stored ones: to keep many estimates, take kDrawn.
enum class TangentStorage { kAuto, kStored, kDrawn };

struct EstimatorOptions {
  std::string law = "gaussian";  // of the tangents (probe.hpp); of activities': independent entries (entries.hpp)
  Index tangents = 1;            // K; for activities of each example, 0 where the prior is neither corrected nor taught
  std::uint64_t seed = 1;
  double epsilon = 1e-3;  // step of differences of losses
  // γ in (0, 1] of running means of past estimates, m += γ (g − m) (1 − γ is the momentum β); 0: SNR/(1 + SNR) of the
  // law, which brings m to a constant ∇ fastest.
  double learning_share = 0;
  double isotropic_share = 0.5;  // α in (0, 1] of "guided": the part of E‖v‖² that is the same in all directions
  Index subspace = 8;            // of "guided": past estimates that span its subspace
  TangentStorage storage = TangentStorage::kAuto;
  ActivityOptions activity;  // of "activities"
  LawOptions law_options;

  // What wraps the estimator.
  // The gradient of what follows the last site of a program is exact, (p − y) aᵀ, both factors being known on the way
  // forward; nothing said: for activities alone.
  std::optional<bool> exact_head = std::nullopt;
  // The gradient of the last so many blocks of a program (stream.hpp) is exact as well, and that of what follows them;
  // what estimates activities or along tangents of weights is left what lies below, and "exact" leaves that frozen, a
  // gradient of 0.
  std::optional<Index> exact_blocks = std::nullopt;
  double clip_slope = std::numeric_limits<double>::infinity();  // largest |s_k|
  double clip_quantile = 1;                                     // share of slopes that are not clipped; 1: all
  bool per_deviation = false;  // of "one-sided": g over the standard deviation of its slopes (FZOO)
  bool auto_rate = false;      // rate() from slopes and second-order terms (AutoRate), which clips slopes by itself
};

// What an estimator is made for: any objective of a layout; or a program's, whose activities can be reached.
struct EstimatorTarget {
  EstimatorTarget(const ParameterLayout& of_objective) : layout(of_objective) {}
  EstimatorTarget(const Program& of_program, ActivitySites with_sites)
      : layout(of_program.layout()), program(&of_program), sites(std::move(with_sites)) {}
  // Throws ArgumentError, in the name of the estimator, where no program is given or no hidden activities.
  void require_sites(std::string_view estimator) const;

  const ParameterLayout& layout;
  const Program* program = nullptr;
  ActivitySites sites;
};

// "forward": (1/K) Σ s_k v_k, the forward gradient (Baydin et al. 2022). "shrunk": that times SNR/(1 + SNR), the least
// mean squared error; biased. "projection": V (VᵀV)⁻¹ s, the part of ∇ in the tangents' span (Flügel et al. 2024, arXiv
// 2410.17764), biased by K/n; for the rotation-invariant laws. "frame": the forward gradient along K orthogonal
// tangents, (n/K) P∇. "central" and "one-sided": the same as "forward" with slopes by differences of losses
// (SPSA, Spall 1992; MeZO, Malladi et al. 2023), biased by ε² where the loss is smooth and by √ε in rectified networks.
// "exact": the pullback.
//
// With m the running mean of past estimates, all unbiased: "momentum": m + (1/K) Σ (s_k − m·v_k) v_k.
// "momentum-fitted": the same with a m, a fitted to the slopes of earlier steps. "momentum-tangent": the same with a
// from one more slope, along m: that component of ∇ is exact. "block-scales": tangents scaled block by block to the
// gradient's norms there, which one more slope for each block finds. "entry-scales": tangents scaled entry by entry by
// 1/√|m_i|.
//
// "blocks": K slopes for each block alone. "guided": tangents partly in the span of past estimates (Maheswaranathan et
// al. 2019, arXiv 1806.10230), biased towards it; Gaussian. "activities": tangents at hidden activities, one for each
// example (activity.hpp); of programs alone.
const std::vector<std::string>& estimator_names();
std::string_view estimator_summary(std::string_view name);
// Whether its slopes are differences of losses.
bool takes_losses_alone(std::string_view name);
// Throws ArgumentError for an unknown name or options that do not fit. The program must outlive the estimator.
template <class T>
std::unique_ptr<Estimator<T>> make_estimator(std::string_view name, const EstimatorTarget& target,
                                             const EstimatorOptions& options);

// An estimator by name, in both precisions.
struct EstimatorFamily {
  // What is made from (target, options).
  template <class T>
  using Make = std::function<std::unique_ptr<Estimator<T>>(const EstimatorTarget&, const EstimatorOptions&)>;
  std::string name, summary;
  Make<float> make_float;
  Make<double> make_double;
  bool sees_to_head = false;  // EstimatorOptions::exact_head is the estimator's own affair
  bool losses_alone = false;  // its slopes are differences of losses
};
// The family of a class template E whose instances are made from (target, options).
template <template <class> class E>
EstimatorFamily estimator_family(std::string name, std::string summary) {
  return {std::move(name), std::move(summary),
          [](const EstimatorTarget& target, const EstimatorOptions& options) {
            return std::make_unique<E<float>>(target, options);
          },
          [](const EstimatorTarget& target, const EstimatorOptions& options) {
            return std::make_unique<E<double>>(target, options);
          }};
}
// The same of a callable make(std::type_identity<T>, target, options) for both T.
template <class Make>
EstimatorFamily estimator_family(std::string name, std::string summary, Make make) {
  return {std::move(name), std::move(summary),
          [make](const EstimatorTarget& target, const EstimatorOptions& options) {
            return make(std::type_identity<float>{}, target, options);
          },
          [make](const EstimatorTarget& target, const EstimatorOptions& options) {
            return make(std::type_identity<double>{}, target, options);
          }};
}
// Makes it known to make_estimator and estimator_names. Throws ArgumentError for a name that is taken. Before other
// threads make estimators.
void register_estimator(EstimatorFamily family);

}  // namespace slopewise
