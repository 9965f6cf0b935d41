#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/wrappers.hpp"
#include "slopewise/optimize/auto_rate.hpp"
#include "slopewise/optimize/clip.hpp"

namespace slopewise {
namespace {

// An objective whose slopes come with second-order terms. Without `order` it only lends its layout.
template <class T>
class Curved final : public Objective<T> {
 public:
  explicit Curved(Objective<T>& flat, int order = 2) : flat_(flat), order_(order) {}
  const ParameterLayout& layout() const override { return flat_.layout(); }
  double loss(const Parameters<T>& parameters) override { return flat_.loss(parameters); }
  Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) override {
    return flat_.curvatures(parameters, tangents);
  }
  Slopes differences(Parameters<T>& parameters, const Moves<T>& moves) override {
    Moves<T> more = moves;
    more.curvatures = true;
    return flat_.differences(parameters, more);
  }
  double gradient(const Parameters<T>& parameters, std::span<T> out) override {
    return flat_.gradient(parameters, out);
  }
  Demand slopes_demand(std::span<const TangentForm> forms, Index tangents, int = 1) const override {
    return order_ > 0 ? flat_.slopes_demand(forms, tangents, order_) : Demand{};
  }

 private:
  Objective<T>& flat_;
  int order_;
};

template <class T>
class AutoRated final : public Estimator<T> {
 public:
  explicit AutoRated(std::unique_ptr<Estimator<T>> inner) : inner_(std::move(inner)) {
    if (inner_->name() != "forward" && inner_->name() != "central") {
      throw ArgumentError(
          fmt::format("learning rate auto: expected the estimator 'forward' or 'central', found '{}'", inner_->name()));
    }
  }
  std::string_view name() const override { return inner_->name(); }
  Index slopes() const override { return inner_->slopes(); }
  Index losses() const override { return inner_->losses(); }
  AnswerKinds asks() const override {
    return {.tangents = inner_->asks().tangents, .curvatures = true, .examples = !by_losses()};
  }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    return estimate(objective, [&](Objective<T>& asked) { return inner_->estimate(asked, parameters, step); });
  }
  GradientEstimate estimate_in_place(Objective<T>& objective, Parameters<T>& parameters, std::uint32_t step) override {
    return estimate(objective, [&](Objective<T>& asked) { return inner_->estimate_in_place(asked, parameters, step); });
  }
  Demand demand(Objective<T>& objective) const override {
    Demand plain = inner_->demand(objective);
    if (by_losses()) {
      plain.flops += objective.loss_demand().flops / static_cast<double>(kCurvedEvery);
      plain.answers.numbers = asks().numbers();
      return plain;
    }
    Curved<T> with_curvatures(objective), no_pass(objective, 0);
    const Demand curved = inner_->demand(with_curvatures);
    plain.bytes += curved.bytes - inner_->demand(no_pass).bytes;  // the tangents serve both passes
    plain.working = std::max(plain.working, curved.working);
    plain.flops += (curved.flops - plain.flops) / static_cast<double>(kCurvedEvery);
    plain.answers.numbers = asks().numbers();  // of a step with curvatures
    return plain;
  }

  // Slopes beyond the limit, of which Gaussian ones are few, left out of account.
  std::vector<double> mean(const GradientView& gradient) const override { return inner_->mean(gradient); }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    return inner_->entry_variances(gradient);
  }
  double total_variance(const GradientView& gradient) const override { return inner_->total_variance(gradient); }

  void learn(const GradientEstimate& estimate, double pace) override {
    const Slopes& found = estimate.measured();
    if (!found.curvatures.empty()) rate_.watch_curvature(found.slopes, found.curvatures);
    rate_.watch(found.slopes, found.example_squares, found.examples);
    ++seen_;
    inner_->learn(estimate, pace);
  }
  std::vector<StatePart> state() const override {
    StateView<double> own = rate_.state();
    return {{"rate", own}, {"steps", StateView<double>{.steps = seen_, .vectors = {}}}};
  }
  void restore(const std::vector<StatePart>& state) override {
    const Index seen = detail::part_of<double>(name(), state, "steps").steps;
    rate_.restore(detail::part_of<double>(name(), state, "rate"));
    seen_ = seen;
  }
  std::optional<double> rate() const override { return rate_.rate(asks().tangents); }
  std::optional<StepOutlook> outlook() const override { return rate_.outlook(asks().tangents); }

 private:
  // Slopes by differences of losses, and second-order terms by those of three.
  bool by_losses() const { return inner_->slopes() == 0; }
  template <class Ask>
  GradientEstimate estimate(Objective<T>& objective, Ask ask) const {
    const bool curved = seen_ < kFirstCurved || seen_ % kCurvedEvery == 0;
    Curved<T> with_curvatures(objective);
    GradientEstimate found = ask(curved ? with_curvatures : objective);
    found.scale_coefficients(slope_factors(found.slopes(), rate_.limit()));
    return found;
  }

  std::unique_ptr<Estimator<T>> inner_;
  AutoRate rate_;
  Index seen_ = 0;
};

}  // namespace

template <class T>
std::unique_ptr<Estimator<T>> auto_rate_estimator(std::unique_ptr<Estimator<T>> inner) {
  return std::make_unique<AutoRated<T>>(std::move(inner));
}

template std::unique_ptr<Estimator<float>> auto_rate_estimator(std::unique_ptr<Estimator<float>>);
template std::unique_ptr<Estimator<double>> auto_rate_estimator(std::unique_ptr<Estimator<double>>);

}  // namespace slopewise
