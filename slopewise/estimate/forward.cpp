// The forward gradient, g = (1/K) Σ_k s_k v_k, with slopes from one forward pass ("forward"), or from losses alone
// ("central"). E[g] = ∇ as E[v vᵀ] = I; its variance is the law's (probe/laws.cpp, probe/rank_one.cpp). Central
// differences add a bias of order ε² and rounding of order 1/ε. "shrunk" is c g with c = SNR/(1 + SNR), where
// E‖c g − ∇‖² = c² tr V + (1 − c)² ‖∇‖² is least, (1 − c) ‖∇‖²; 1/(n + κ − 1) for one tangent of independent entries.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/families.hpp"

namespace slopewise {
namespace {

template <class T>
class Forward : public Estimator<T> {
 public:
  Forward(const ParameterLayout& layout, const EstimatorOptions& options, std::string_view name, bool shrunk = false)
      : source_(layout, options), name_(name) {
    const double snr = source_.probe().snr(source_.count()).low;
    if (shrunk && std::isfinite(snr)) factor_ = snr / (1 + snr);
  }
  std::string_view name() const override { return name_; }
  Index slopes() const override { return source_.count(); }
  std::vector<double> mean(const GradientView& gradient) const override {
    std::vector<double> mean(gradient.values().begin(), gradient.values().end());
    for (double& entry : mean) entry *= factor_;
    return mean;
  }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    std::vector<double> variances(static_cast<std::size_t>(gradient.size()));
    for (std::size_t i = 0; i < variances.size(); ++i) {
      variances[i] =
          factor_ * factor_ * source_.probe().entry_variance(gradient, static_cast<Index>(i), source_.count());
    }
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    return factor_ * factor_ * source_.probe().total_variance(gradient, source_.count());
  }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    const auto [draw, tangents] = source_.draw(step);
    Slopes found = measure(objective, parameters, tangents);
    std::vector<double> coefficients = found.slopes;
    for (double& coefficient : coefficients) coefficient *= factor_ / static_cast<double>(source_.count());
    NoiseEstimate noise = estimate_noise(source_.probe(), found.slopes);
    noise.snr_low /= factor_ * factor_;
    noise.snr_high /= factor_ * factor_;
    return {found.loss, std::move(found.slopes), std::move(coefficients), draw, noise};
  }

 protected:
  virtual Slopes measure(Objective<T>& objective, const Parameters<T>& parameters, const Tangents<T>& tangents) {
    return objective.slopes(parameters, tangents);
  }

 private:
  detail::TangentSource<T> source_;
  std::string_view name_;
  double factor_ = 1;
};

template <class T>
class Central final : public Forward<T> {
 public:
  Central(const ParameterLayout& layout, const EstimatorOptions& options)
      : Forward<T>(layout, options, "central"), epsilon_(options.epsilon) {
    if (!(epsilon_ > 0))
      throw ArgumentError(fmt::format("central: expected a step epsilon above 0, found {}", epsilon_));
  }
  Index slopes() const override { return 0; }
  Index losses() const override { return 2 * Forward<T>::slopes() + 1; }

 private:
  Slopes measure(Objective<T>& objective, const Parameters<T>& parameters, const Tangents<T>& tangents) override {
    return central_differences(objective, parameters, tangents, epsilon_);
  }
  double epsilon_;
};

}  // namespace

template <class T>
std::unique_ptr<Estimator<T>> forward_estimator(const ParameterLayout& layout, const EstimatorOptions& options) {
  return std::make_unique<Forward<T>>(layout, options, "forward");
}
template <class T>
std::unique_ptr<Estimator<T>> shrunk_estimator(const ParameterLayout& layout, const EstimatorOptions& options) {
  return std::make_unique<Forward<T>>(layout, options, "shrunk", true);
}
template <class T>
std::unique_ptr<Estimator<T>> frame_estimator(const ParameterLayout& layout, const EstimatorOptions& options) {
  EstimatorOptions frame = options;
  frame.law = "frame";
  return std::make_unique<Forward<T>>(layout, frame, "frame");
}
template <class T>
std::unique_ptr<Estimator<T>> central_estimator(const ParameterLayout& layout, const EstimatorOptions& options) {
  return std::make_unique<Central<T>>(layout, options);
}

template std::unique_ptr<Estimator<float>> forward_estimator<float>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<double>> forward_estimator<double>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<float>> shrunk_estimator<float>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<double>> shrunk_estimator<double>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<float>> frame_estimator<float>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<double>> frame_estimator<double>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<float>> central_estimator<float>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<double>> central_estimator<double>(const ParameterLayout&, const EstimatorOptions&);

}  // namespace slopewise
