#include <cmath>
#include <numbers>

#include "slopewise/estimate/wrappers.hpp"
#include "slopewise/optimize/clip.hpp"

namespace slopewise {
namespace {

template <class T>
class Clipped final : public Estimator<T> {
 public:
  Clipped(std::unique_ptr<Estimator<T>> inner, double limit, double quantile)
      : inner_(std::move(inner)), limit_(limit) {
    if (quantile < 1) quantile_.emplace(quantile);
    slope_factors({}, limit);  // throws for a limit out of range
  }
  std::string_view name() const override { return inner_->name(); }
  Index slopes() const override { return inner_->slopes(); }
  Index losses() const override { return inner_->losses(); }
  AnswerKinds asks() const override { return inner_->asks(); }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    return clipped(inner_->estimate(objective, parameters, step));
  }
  GradientEstimate estimate_in_place(Objective<T>& objective, Parameters<T>& parameters, std::uint32_t step) override {
    return clipped(inner_->estimate_in_place(objective, parameters, step));
  }
  Demand demand(Objective<T>& objective) const override { return inner_->demand(objective); }

  std::vector<double> mean(const GradientView& gradient) const override {
    if (!std::isfinite(limit())) return inner_->mean(gradient);
    std::vector<double> mean(gradient.values().begin(), gradient.values().end());
    for (double& entry : mean) entry *= clip(gradient).kept;
    return mean;
  }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    if (!std::isfinite(limit())) return inner_->entry_variances(gradient);
    const Clip known = clip(gradient);
    std::vector<double> variances(gradient.values().begin(), gradient.values().end());
    for (double& entry : variances) entry = known.along * entry * entry + known.across;
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    if (!std::isfinite(limit())) return inner_->total_variance(gradient);
    const Clip known = clip(gradient);
    return known.along * gradient.squared_norm() + known.across * static_cast<double>(gradient.size());
  }
  // Along one tangent clipping changes no direction.
  double mean_cosine(const GradientView& gradient) const override {
    return !std::isfinite(limit()) || slopes() == 1 ? inner_->mean_cosine(gradient) : Prediction::mean_cosine(gradient);
  }

  void learn(const GradientEstimate& estimate, double pace) override {
    inner_->learn(estimate, pace);
    if (quantile_) quantile_->watch(estimate.slopes());
  }
  std::vector<StatePart> state() const override {
    std::vector<StatePart> parts = inner_->state();
    if (quantile_) parts.push_back({"clip", quantile_->state()});
    return parts;
  }
  void restore(const std::vector<StatePart>& state) override {
    std::vector<StatePart> rest = state;
    if (quantile_) {
      const StateView<double> own = detail::part_of<double>(name(), state, "clip");
      std::erase_if(rest, [](const StatePart& part) { return part.name == "clip"; });
      detail::check_state(name(), own, quantile_->state());
      inner_->restore(rest);
      quantile_->restore(own);
    } else {
      inner_->restore(rest);
    }
  }
  std::optional<double> rate() const override { return inner_->rate(); }
  std::optional<StepOutlook> outlook() const override { return inner_->outlook(); }

 private:
  GradientEstimate clipped(GradientEstimate found) const {
    if (std::isfinite(limit())) found.scale_coefficients(slope_factors(found.slopes(), limit()));
    return found;
  }
  double limit() const { return quantile_ ? std::min(limit_, quantile_->limit()) : limit_; }

  // E[g] = kept ∇, V[g_i] = along ∇_i² + across. NaN where slopes are not Gaussian.
  struct Clip {
    double kept, along, across;
  };
  Clip clip(const GradientView& gradient) const {
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    if (!inner_->slopes_are_gaussian()) return {kNaN, kNaN, kNaN};
    const double square = gradient.squared_norm(), a = limit() / std::sqrt(square);
    const auto count = static_cast<double>(slopes());
    const double within = std::erf(a / std::numbers::sqrt2), beyond = std::erfc(a / std::numbers::sqrt2);
    // 2 a φ(a), by which ∫ z² φ and ∫ z⁴ φ over |z| < a fall short.
    const double edge = 2 * a * std::exp(-a * a / 2) / std::sqrt(2 * std::numbers::pi);
    const double h2 = within - edge + a * a * beyond;                               // E[h²]/‖∇‖²
    const double h2z2 = 3 * within - edge * (a * a + 3) + a * a * (beyond + edge);  // E[h²s²]/‖∇‖⁴
    return {within, (h2z2 - h2 - within * within) / count, h2 * square / count};
  }

  std::unique_ptr<Estimator<T>> inner_;
  double limit_;
  std::optional<SlopeQuantile> quantile_;
};

}  // namespace

template <class T>
std::unique_ptr<Estimator<T>> clipped_estimator(std::unique_ptr<Estimator<T>> inner, double limit, double quantile) {
  return std::make_unique<Clipped<T>>(std::move(inner), limit, quantile);
}

template std::unique_ptr<Estimator<float>> clipped_estimator(std::unique_ptr<Estimator<float>>, double, double);
template std::unique_ptr<Estimator<double>> clipped_estimator(std::unique_ptr<Estimator<double>>, double, double);

}  // namespace slopewise
