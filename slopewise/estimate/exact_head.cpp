#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/wrappers.hpp"
#include "slopewise/objective/body_objective.hpp"

namespace slopewise {
namespace {

template <class T>
class ExactHead final : public Estimator<T> {
 public:
  using Make = std::function<std::unique_ptr<Estimator<T>>(const EstimatorTarget&)>;
  ExactHead(const EstimatorTarget& target, const Make& make) : body_(*target.program, target.sites) {
    inner_ = make(EstimatorTarget(body_.layout()));
    if (inner_->losses() > 0) {
      throw ArgumentError(fmt::format(
          "{}: exact head: expected slopes; differences of losses move all of the parameters", inner_->name()));
    }
  }
  std::string_view name() const override { return inner_->name(); }
  Index slopes() const override { return inner_->slopes(); }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    body_.bind(objective);
    GradientEstimate found = inner_->estimate(body_, parameters, step);
    found.append(body_.take_head_gradient());
    return found;
  }
  Demand demand(Objective<T>& objective) const override {
    BodyObjective<T> body = body_;
    body.bind(objective);
    return inner_->demand(body);
  }

  std::vector<double> mean(const GradientView& gradient) const override {
    std::vector<double> mean = inner_->mean(part(gradient));
    mean.insert(mean.end(), gradient.values().begin() + body_.layout().size, gradient.values().end());
    return mean;
  }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    std::vector<double> variances = inner_->entry_variances(part(gradient));
    variances.resize(gradient.values().size(), 0.0);
    return variances;
  }
  double total_variance(const GradientView& gradient) const override { return inner_->total_variance(part(gradient)); }

  void learn(const GradientEstimate& estimate, double pace) override { inner_->learn(estimate.without_rest(), pace); }
  std::vector<StatePart> state() const override { return inner_->state(); }
  void restore(const std::vector<StatePart>& state) override { inner_->restore(state); }
  std::optional<double> rate() const override { return inner_->rate(); }

 private:
  GradientView part(const GradientView& gradient) const {
    return {body_.layout(), gradient.values().first(static_cast<std::size_t>(body_.layout().size))};
  }

  BodyObjective<T> body_;
  std::unique_ptr<Estimator<T>> inner_;
};

}  // namespace

template <class T>
std::unique_ptr<Estimator<T>> exact_head_estimator(
    const EstimatorTarget& target, const std::function<std::unique_ptr<Estimator<T>>(const EstimatorTarget&)>& make) {
  target.require_sites("exact head");
  return std::make_unique<ExactHead<T>>(target, make);
}

template std::unique_ptr<Estimator<float>> exact_head_estimator(
    const EstimatorTarget&, const std::function<std::unique_ptr<Estimator<float>>(const EstimatorTarget&)>&);
template std::unique_ptr<Estimator<double>> exact_head_estimator(
    const EstimatorTarget&, const std::function<std::unique_ptr<Estimator<double>>(const EstimatorTarget&)>&);

}  // namespace slopewise
