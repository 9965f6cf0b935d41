// One-sided differences over the standard deviation of their losses, as FZOO has them (Dang et al. 2025, arXiv
// 2506.09034): θ −= η (1/K) Σ_k (l_k − l_0) v_k / σ, σ² = Σ_k (l_k − l̄)²/(K − 1). As l_k = l_0 + ε s_k, that is g over
// the slopes' deviation S: a step of about η √(n/K) however steep the loss is, with η in place of the paper's η/ε.
//
// Along Gaussian tangents s_k = ‖∇‖ t_k with t_k standard normal, Σ t² = (K − 1) S² + K t̄², and t̄ does not depend on S:
// with ν = K − 1 and a = (ν S + K t̄²/S)/K, S of the t,
//   E[g] = E[a] ∇/‖∇‖,  V[g_i] = V[a] ∇_i²/‖∇‖² + (ν + ν/(ν − 2))/K² (1 − ∇_i²/‖∇‖²),
//   E[a] = (ν E S + E[1/S])/K,  E[a²] = (ν² + 2 ν + 3 ν/(ν − 2))/K².
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/wrappers.hpp"
#include "slopewise/statistics/moments.hpp"

namespace slopewise {
namespace {

template <class T>
class PerDeviation final : public Estimator<T> {
 public:
  PerDeviation(std::unique_ptr<Estimator<T>> inner, Index count) : inner_(std::move(inner)), count_(count) {
    if (inner_->name() != "one-sided") {
      throw ArgumentError(fmt::format("per deviation: expected the estimator 'one-sided', found '{}'", inner_->name()));
    }
    if (count_ < 2)
      throw ArgumentError(
          fmt::format("per deviation: expected at least 2 tangents, whose losses differ, found {}", count_));
  }
  std::string_view name() const override { return inner_->name(); }
  Index slopes() const override { return inner_->slopes(); }
  Index losses() const override { return inner_->losses(); }
  AnswerKinds asks() const override { return inner_->asks(); }
  Demand demand(Objective<T>& objective) const override { return inner_->demand(objective); }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    return scaled(inner_->estimate(objective, parameters, step));
  }
  GradientEstimate estimate_in_place(Objective<T>& objective, Parameters<T>& parameters, std::uint32_t step) override {
    return scaled(inner_->estimate_in_place(objective, parameters, step));
  }

  std::vector<double> mean(const GradientView& gradient) const override {
    std::vector<double> mean(gradient.values().begin(), gradient.values().end());
    for (double& entry : mean) entry *= known().mean / std::sqrt(gradient.squared_norm());
    return mean;
  }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    std::vector<double> variances(gradient.values().begin(), gradient.values().end());
    for (double& entry : variances) {
      const double share = entry * entry / gradient.squared_norm();
      entry = known().along * share + known().across * (1 - share);
    }
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    return known().along + known().across * static_cast<double>(gradient.size() - 1);
  }
  double mean_cosine(const GradientView& gradient) const override { return inner_->mean_cosine(gradient); }

 private:
  GradientEstimate scaled(GradientEstimate found) const {
    Moments slopes;
    for (const double slope : found.slopes()) slopes.add(slope);
    const double deviation = std::sqrt(slopes.central().m2 / static_cast<double>(count_ - 1));
    if (!(deviation > 0))
      throw NumericError(
          fmt::format("{}: the losses of all {} tangents are alike: expected them to differ", name(), count_));
    found.scale(1 / deviation);
    return found;
  }

  // E[a], V[a] and the variance across ∇; NaN where slopes are not normal, or so few that 1/S² has no mean.
  struct Known {
    double mean, along, across;
  };
  Known known() const {
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    if (!inner_->slopes_are_gaussian() || count_ < 4) return {kNaN, kNaN, kNaN};
    const auto k = static_cast<double>(count_), nu = k - 1;
    const double deviation = std::sqrt(2 / nu) * std::exp(std::lgamma((nu + 1) / 2) - std::lgamma(nu / 2));
    const double inverse = std::sqrt(nu / 2) * std::exp(std::lgamma((nu - 1) / 2) - std::lgamma(nu / 2));
    const double mean = (nu * deviation + inverse) / k;
    return {mean, (nu * nu + 2 * nu + 3 * nu / (nu - 2)) / (k * k) - mean * mean, (nu + nu / (nu - 2)) / (k * k)};
  }

  std::unique_ptr<Estimator<T>> inner_;
  Index count_;
};

}  // namespace

template <class T>
std::unique_ptr<Estimator<T>> per_deviation_estimator(std::unique_ptr<Estimator<T>> inner, Index tangents) {
  return std::make_unique<PerDeviation<T>>(std::move(inner), tangents);
}

template std::unique_ptr<Estimator<float>> per_deviation_estimator(std::unique_ptr<Estimator<float>>, Index);
template std::unique_ptr<Estimator<double>> per_deviation_estimator(std::unique_ptr<Estimator<double>>, Index);

}  // namespace slopewise
