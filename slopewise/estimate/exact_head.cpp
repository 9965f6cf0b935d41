#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/wrappers.hpp"
#include "slopewise/objective/body_objective.hpp"

namespace slopewise {
namespace {

// A body's prediction, with a head that has no noise.
class HeadedPrediction final : public Prediction {
 public:
  HeadedPrediction(ParameterLayout body, std::shared_ptr<const Prediction> of_body)
      : body_(std::move(body)), of_body_(std::move(of_body)) {}
  std::vector<double> mean(const GradientView& gradient) const override {
    std::vector<double> mean = of_body_->mean(part(gradient));
    mean.insert(mean.end(), gradient.values().begin() + body_.size, gradient.values().end());
    return mean;
  }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    std::vector<double> variances = of_body_->entry_variances(part(gradient));
    variances.resize(gradient.values().size(), 0.0);
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    return of_body_->total_variance(part(gradient));
  }

 private:
  GradientView part(const GradientView& gradient) const {
    return {body_, gradient.values().first(static_cast<std::size_t>(body_.size))};
  }
  ParameterLayout body_;
  std::shared_ptr<const Prediction> of_body_;
};

template <class T>
class ExactHead final : public Estimator<T> {
 public:
  using Make = std::function<std::unique_ptr<Estimator<T>>(const EstimatorTarget&)>;
  ExactHead(const EstimatorTarget& target, const Make& make) : body_(*target.program, target.sites) {
    EstimatorTarget body(body_.layout());
    body.program = target.program;
    inner_ = make(body);
    if (inner_->losses() > 0) {
      throw ArgumentError(fmt::format(
          "{}: exact head: expected slopes; differences of losses do not tell the head's gradient", inner_->name()));
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

  std::vector<double> mean(const GradientView& gradient) const override { return own().mean(gradient); }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    return own().entry_variances(gradient);
  }
  double total_variance(const GradientView& gradient) const override { return own().total_variance(gradient); }
  std::shared_ptr<const Prediction> prediction(Objective<T>& objective, const Parameters<T>& parameters) override {
    body_.bind(objective);
    return std::make_shared<HeadedPrediction>(body_.layout(), inner_->prediction(body_, parameters));
  }

  void learn(const GradientEstimate& estimate, double pace) override { inner_->learn(estimate.without_rest(), pace); }
  std::vector<StatePart> state() const override { return inner_->state(); }
  void restore(const std::vector<StatePart>& state) override { inner_->restore(state); }
  std::optional<double> rate() const override { return inner_->rate(); }
  std::optional<StepOutlook> outlook() const override { return inner_->outlook(); }

 private:
  HeadedPrediction own() const {
    return {body_.layout(), std::shared_ptr<const Prediction>(std::shared_ptr<const Prediction>(), inner_.get())};
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
