// The projection of the gradient on the span of K tangents, P∇ = V (VᵀV)⁻¹ s (Flügel et al. 2024). For a
// rotation-invariant law the span is uniform among all of dimension K, so
//   E[P∇] = (K/n) ∇,  V[(P∇)_i] = (α + β) ∇_i² + β ‖∇‖² − (K/n)² ∇_i²,  tr V = (K/n)(1 − K/n) ‖∇‖²,
// and E‖P∇ − ∇‖² = (1 − K/n) ‖∇‖²: the least of all estimates that lie in the span, at the price of a bias.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/families.hpp"
#include "slopewise/probe/laws.hpp"
#include "slopewise/tensor/cholesky.hpp"

namespace slopewise {
namespace {

template <class T>
class Projection final : public Estimator<T> {
 public:
  Projection(const EstimatorTarget& target, const EstimatorOptions& options) : source_(target.layout, options) {
    if (!source_.probe().rotation_invariant()) {
      throw ArgumentError(fmt::format(
          "projection: expected a rotation-invariant law (gaussian, sphere, frame), found '{}'; the mean and "
          "variance of others' projections are not known",
          options.law));
    }
    if (options.tangents > target.layout.size) {
      throw ArgumentError(
          fmt::format("projection: expected at most n = {} tangents, found {}", target.layout.size, options.tangents));
    }
  }
  std::string_view name() const override { return "projection"; }
  Index slopes() const override { return source_.count(); }
  AnswerKinds asks() const override { return {.tangents = source_.count()}; }
  std::vector<double> mean(const GradientView& gradient) const override {
    std::vector<double> mean(gradient.values().begin(), gradient.values().end());
    for (double& entry : mean) entry *= share();
    return mean;
  }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    const ProjectorMoments moments = projector_moments(gradient.size(), source_.count());
    std::vector<double> variances(gradient.values().begin(), gradient.values().end());
    for (double& entry : variances) {
      entry =
          (moments.alpha + moments.beta - share() * share()) * entry * entry + moments.beta * gradient.squared_norm();
    }
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    return share() * (1 - share()) * gradient.squared_norm();
  }

  double mean_cosine(const GradientView&) const override {
    return detail::mean_cosine(source_.probe(), source_.count(), true);
  }
  Demand demand(Objective<T>& objective) const override { return source_.demand(objective); }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    const auto [draw, tangents] = source_.draw(step);
    Slopes found = objective.slopes(parameters, tangents);
    std::vector<double> coefficients = cholesky_solve(cholesky(gram_matrix(*draw), source_.count()), found.slopes);
    NoiseEstimate noise = estimate_noise(source_.probe(), found.slopes);
    noise.snr_low = noise.snr_high = 1 / (share() * (1 - share()));  // ‖∇‖² / tr V of this estimator
    return {std::move(found), std::move(coefficients), draw, noise};
  }

 private:
  double share() const {
    return static_cast<double>(source_.count()) / static_cast<double>(source_.probe().layout().size);
  }
  detail::TangentSource<T> source_;
};

}  // namespace

EstimatorFamily projection_family() {
  return estimator_family<Projection>("projection", "projection of the gradient on the span of K tangents (biased)");
}

}  // namespace slopewise
