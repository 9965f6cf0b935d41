// The forward gradient, g = (1/K) Σ_k s_k v_k, with slopes from one forward pass ("forward"), or from losses alone
// ("central"). E[g] = ∇ as E[v vᵀ] = I; its variance is the law's (probe/laws.cpp, probe/rank_one.cpp). Central
// differences add a bias of order ε² and rounding of order 1/ε.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/families.hpp"

namespace slopewise {
namespace {

template <class T>
class Forward : public Estimator<T> {
 public:
  Forward(const ParameterLayout& layout, const EstimatorOptions& options, std::string_view name)
      : source_(layout, options), name_(name) {}
  std::string_view name() const override { return name_; }
  Index slopes() const override { return source_.count(); }
  double entry_variance(const GradientView& gradient, Index i) const override {
    return source_.probe().entry_variance(gradient, i, source_.count());
  }
  double total_variance(const GradientView& gradient) const override {
    return source_.probe().total_variance(gradient, source_.count());
  }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    const auto [draw, tangents] = source_.draw(step);
    Slopes found = measure(objective, parameters, tangents);
    std::vector<double> coefficients = found.slopes;
    for (double& coefficient : coefficients) coefficient /= static_cast<double>(source_.count());
    const NoiseEstimate noise = estimate_noise(source_.probe(), found.slopes);
    return {found.loss, std::move(found.slopes), std::move(coefficients), draw, noise};
  }

 protected:
  virtual Slopes measure(Objective<T>& objective, const Parameters<T>& parameters, const Tangents<T>& tangents) {
    return objective.slopes(parameters, tangents);
  }

 private:
  detail::TangentSource<T> source_;
  std::string_view name_;
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
template std::unique_ptr<Estimator<float>> frame_estimator<float>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<double>> frame_estimator<double>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<float>> central_estimator<float>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<double>> central_estimator<double>(const ParameterLayout&, const EstimatorOptions&);

}  // namespace slopewise
