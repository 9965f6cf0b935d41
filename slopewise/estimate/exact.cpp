// The exact gradient, by pullback: no variance, a backward pass, and every activation in memory.
#include "slopewise/estimate/families.hpp"

namespace slopewise {
namespace {

template <class T>
class Exact final : public Estimator<T> {
 public:
  Exact(const EstimatorTarget&, const EstimatorOptions&) {}
  std::string_view name() const override { return "exact"; }
  Index slopes() const override { return 0; }
  bool dense() const override { return true; }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    return std::vector<double>(static_cast<std::size_t>(gradient.size()), 0.0);
  }
  double total_variance(const GradientView&) const override { return 0; }
  double mean_cosine(const GradientView&) const override { return 1; }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t) override {
    const std::shared_ptr<DenseGradient<T>> gradient = objective.room(objective.size());
    const double loss = objective.gradient(parameters, gradient->edit());
    return {loss, std::shared_ptr<const DenseGradient<T>>(gradient)};
  }
  Demand demand(Objective<T>& objective) const override { return objective.gradient_demand(); }
};

}  // namespace

EstimatorFamily exact_family() {
  EstimatorFamily family = estimator_family<Exact>("exact", "the exact gradient, by pullback");
  family.sees_to_head = true;
  return family;
}

}  // namespace slopewise
