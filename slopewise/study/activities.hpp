// What theory says of activity perturbation's noise on a subject, from exact gradients of single examples.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "slopewise/estimate/activity.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {

// The hidden layers of a perceptron. Throws NumericError where there is none.
ActivitySites hidden_sites(const Subject& subject);

// ∂loss/∂z − m of every example of the subject's batch at every layer: the hidden ones, then the logits.
class ActivityResiduals {
 public:
  // With m = 0.
  explicit ActivityResiduals(const Subject& subject);
  // With the m of an estimator that adds nothing to its prior (Correction::kNone) and has an exact head.
  ActivityResiduals after(const Subject& subject, ActivityEstimator<float>& prior_alone) const;

  // Mean over examples of ‖∂loss/∂z − m‖² at the layer.
  double squared_norm(std::size_t layer) const;
  // tr V of each of the first `layers` layers' gradient, estimated along K tangents with entries of kurtosis κ:
  //   Σ_b ‖x̃_b‖² (n_b S_b + (κ − 2) ‖d_b‖²) / (K B²),
  // with d = ∂loss/∂z − m, x̃ the layer's input with a 1 for its bias, n_b its active units, and S_b = ‖d_b‖², summed
  // over the layers where tangents enter them `together`.
  std::vector<double> variances(std::size_t layers, double kurtosis, Index tangents, bool together) const;

 private:
  struct Part {
    double squared_input;  // ‖x̃‖²
    Index active;
    std::vector<double> gradient;
    double squared_norm() const;
  };
  std::vector<std::vector<Part>> examples_;  // one list of layers each
};

// Makes the estimator of one thread; all it makes are equal.
using MakeActivityEstimator = std::function<std::unique_ptr<ActivityEstimator<float>>()>;
// Told the j-th estimate, from several threads.
using SeeEstimate = std::function<void(std::size_t j, const ActivityGradient<float>& estimate)>;

// ‖g_l − ∇_l‖² of each layer's part of `count` estimates, with the tangents of steps from `first` on: one column a
// layer.
std::vector<std::vector<double>> squared_errors(
    const Subject& subject, const MakeActivityEstimator& make, std::uint32_t first, Index count,
    const SeeEstimate& see = [](std::size_t, const ActivityGradient<float>&) {});

}  // namespace slopewise
