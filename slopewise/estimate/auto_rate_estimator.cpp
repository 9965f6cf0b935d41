#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/wrappers.hpp"
#include "slopewise/optimize/auto_rate.hpp"
#include "slopewise/optimize/clip.hpp"

namespace slopewise {
namespace {

// Second-order terms are taken in all of the first steps, in which curvature changes most, and then in one of so many.
constexpr Index kFirst = 50;
constexpr Index kEvery = 10;

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
    if (inner_->name() != "forward") {
      throw ArgumentError(
          fmt::format("learning rate auto: expected the estimator 'forward', found '{}'", inner_->name()));
    }
  }
  std::string_view name() const override { return inner_->name(); }
  Index slopes() const override { return inner_->slopes(); }
  AnswerKinds asks() const override {
    return {.tangents = inner_->asks().tangents, .curvatures = true, .examples = true};
  }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    const bool curved = seen_ < kFirst || seen_ % kEvery == 0;
    Curved<T> with_curvatures(objective);
    GradientEstimate found = inner_->estimate(curved ? with_curvatures : objective, parameters, step);
    found.scale_coefficients(slope_factors(found.slopes(), rate_.limit()));
    return found;
  }
  Demand demand(Objective<T>& objective) const override {
    Demand plain = inner_->demand(objective);
    Curved<T> with_curvatures(objective), no_pass(objective, 0);
    const Demand curved = inner_->demand(with_curvatures);
    plain.bytes += curved.bytes - inner_->demand(no_pass).bytes;  // the tangents serve both passes
    plain.working = std::max(plain.working, curved.working);
    plain.flops += (curved.flops - plain.flops) / static_cast<double>(kEvery);
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
  std::optional<double> rate() const override { return rate_.rate(slopes()); }

 private:
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
