// The exact gradient, by pullback: no variance, a backward pass, and every activation in memory. With exact blocks that
// of the last blocks and the head, and 0 below, where nothing is kept.
#include <algorithm>
#include <cmath>

#include "slopewise/estimate/families.hpp"
#include "slopewise/objective/body_objective.hpp"

namespace slopewise {
namespace {

template <class T>
class Exact final : public Estimator<T> {
 public:
  Exact(const EstimatorTarget& target, const EstimatorOptions&) : head_(target.sites.head) {
    if (head_ >= 0) frozen_ = body_layout(*target.program, target.sites).size;
  }
  std::string_view name() const override { return "exact"; }
  Index slopes() const override { return 0; }
  bool dense() const override { return true; }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    return std::vector<double>(static_cast<std::size_t>(gradient.size()), 0.0);
  }
  double total_variance(const GradientView&) const override { return 0; }
  std::vector<double> mean(const GradientView& gradient) const override {
    std::vector<double> mean = Prediction::mean(gradient);
    std::fill_n(mean.begin(), frozen_, 0.0);
    return mean;
  }
  double mean_cosine(const GradientView& gradient) const override {
    double above = 0;
    for (const double entry : gradient.values().subspan(static_cast<std::size_t>(frozen_))) above += entry * entry;
    return std::sqrt(above / gradient.squared_norm());
  }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t) override {
    const std::shared_ptr<DenseGradient<T>> gradient = objective.room(objective.size());
    const std::span<T> out = gradient->edit();
    double loss = 0;
    if (head_ < 0) {
      loss = objective.gradient(parameters, out);
    } else {
      std::fill_n(out.begin(), frozen_, T{0});
      loss =
          objective.given(options(), parameters, nullptr, {}, {}, out.subspan(static_cast<std::size_t>(frozen_))).loss;
    }
    return {loss, std::shared_ptr<const DenseGradient<T>>(gradient)};
  }
  Demand demand(Objective<T>& objective) const override {
    if (head_ < 0) return objective.gradient_demand();
    Demand demand = objective.given_demand(options());
    demand.bytes += frozen_ * static_cast<Index>(sizeof(T));
    return demand;
  }

 private:
  GivenOptions options() const { return {.cuts = {head_}, .gradient_first = frozen_, .few_rows = true}; }

  Index head_;
  Index frozen_ = 0;  // entries of θ below the head
};

}  // namespace

EstimatorFamily exact_family() {
  EstimatorFamily family = estimator_family<Exact>("exact", "the exact gradient, by pullback");
  family.sees_to_head = true;
  return family;
}

}  // namespace slopewise
