// The exact gradient, by pullback: no variance, a backward pass, and every activation in memory.
#include "slopewise/estimate/families.hpp"

namespace slopewise {
namespace {

template <class T>
class Exact final : public Estimator<T> {
 public:
  std::string_view name() const override { return "exact"; }
  Index slopes() const override { return 0; }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    return std::vector<double>(static_cast<std::size_t>(gradient.size()), 0.0);
  }
  double total_variance(const GradientView&) const override { return 0; }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t) override {
    std::vector<T> gradient(static_cast<std::size_t>(objective.size()));
    const double loss = objective.gradient(parameters, gradient);
    return {loss, std::vector<double>(gradient.begin(), gradient.end())};
  }
};

}  // namespace

template <class T>
std::unique_ptr<Estimator<T>> exact_estimator(const ParameterLayout&, const EstimatorOptions&) {
  return std::make_unique<Exact<T>>();
}

template std::unique_ptr<Estimator<float>> exact_estimator<float>(const ParameterLayout&, const EstimatorOptions&);
template std::unique_ptr<Estimator<double>> exact_estimator<double>(const ParameterLayout&, const EstimatorOptions&);

}  // namespace slopewise
