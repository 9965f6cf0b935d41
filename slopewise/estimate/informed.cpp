#include "slopewise/estimate/informed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/block_tangents.hpp"
#include "slopewise/estimate/families.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

using Vector = std::vector<double>;

// Steps that the fit of a prior's scale looks back over.
constexpr double kFitMemory = 100;

template <class T>
class Informed final : public Estimator<T> {
 public:
  Informed(std::string name, const ParameterLayout& layout, const EstimatorOptions& options, Information information)
      : name_(std::move(name)),
        layout_(layout),
        known_(std::move(information)),
        source_(layout, options, known_.scales && !known_.scales->by_block()) {
    if (known_.scales && known_.scales->by_block())
      blocks_ = std::make_unique<detail::BlockTangents<T>>(layout, options.law, 1, options.seed, options.law_options);
    if (const auto m = prior(); m && static_cast<Index>(m->size()) != layout.size) {
      throw ShapeError(fmt::format("{}: prior: expected {} entries, one for each parameter, found {}", name_,
                                   layout.size, m->size()));
    }
  }
  std::string_view name() const override { return name_; }
  Index slopes() const override {
    return source_.count() + (measures_prior() ? 1 : 0) + (blocks_ ? blocks_->blocks() : 0);
  }
  AnswerKinds asks() const override {
    const bool measured = known_.prior && known_.prior_scale == PriorScale::kMeasured;
    return {.tangents = source_.count() + (measured ? 1 : 0) + (blocks_ ? blocks_->blocks() : 0)};
  }
  Vector entry_variances(const GradientView& gradient) const override {
    const Vector rest = residual(gradient);
    const GradientView view(layout_, rest);
    Vector variances(rest.size());
    for (std::size_t i = 0; i < rest.size(); ++i)
      variances[i] = source_.probe().entry_variance(view, static_cast<Index>(i), source_.count());
    if (known_.scales) known_.scales->apply(variances, -2);
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    if (!known_.scales)
      return source_.probe().total_variance(GradientView(layout_, residual(gradient)), source_.count());
    const Vector variances = entry_variances(gradient);
    return sum_of(variances.data(), static_cast<Index>(variances.size()));
  }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    const auto law = source_.probe().draw(step, source_.count());
    const auto scaled = [&](std::shared_ptr<const Draw> draw, int power) {
      return known_.scales ? known_.scales->scaled(std::move(draw), power) : draw;
    };
    const auto [draw, tangents] = source_.hold(scaled(law, 1));
    Slopes found = objective.slopes(parameters, tangents);
    PriorTerm term{.vector = prior(), .slopes = {}};
    if (term.vector) {
      term.scale = prior_scale(objective, parameters);
      for (Index k = 0; k < source_.count(); ++k) term.slopes.push_back(draw->slope(k, *term.vector));
    }
    Vector block_slopes;
    if (blocks_) block_slopes = blocks_->measure(objective, parameters, step).found.slopes;

    Vector coefficients = found.slopes;
    for (std::size_t k = 0; k < term.slopes.size(); ++k) coefficients[k] -= term.scale * term.slopes[k];
    const NoiseEstimate noise = noise_of(found.slopes, coefficients, block_slopes);
    for (double& coefficient : coefficients) coefficient /= static_cast<double>(source_.count());
    // D⁻¹ z = D⁻² v, with v where the pushforward has read it.
    return {std::move(found), std::move(coefficients), scaled(draw, -2), noise,
            std::move(term),  std::move(block_slopes)};
  }

  void learn(const GradientEstimate& estimate, double) override {
    ++steps_;
    const std::vector<double>& expected = estimate.prior().slopes;
    for (std::size_t i = 0; i < fit_.size(); ++i) fit_[i] *= 1 - 1 / kFitMemory;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      fit_[0] += estimate.slopes()[k] * expected[k];
      fit_[1] += expected[k] * expected[k];
    }
    if (known_.prior) known_.prior->learn(estimate);
    if (known_.scales) known_.scales->learn(estimate);
  }
  std::vector<StatePart> state() const override { return {{"memory", memory()}}; }
  void restore(const std::vector<StatePart>& parts) override {
    const StateView<double>& state = detail::part_of<double>(name_, parts, "memory");
    detail::check_state(name_, state, memory());
    const auto part = [&](const StateView<double>& of) {
      StateView<double> found{.steps = state.steps, .vectors = {}};
      for (const auto& vector : of.vectors) found.vectors.push_back(named(state, vector.name));
      return found;
    };
    if (known_.prior) known_.prior->restore(part(known_.prior->state()));
    if (fits_prior()) std::ranges::copy(named(state, "prior_fit").values, fit_.begin());
    if (known_.scales) known_.scales->restore(part(known_.scales->state()));
    steps_ = state.steps;
  }
  Demand demand(Objective<T>& objective) const override {
    Demand demand = source_.demand(objective);
    for (const StatePart& part : state()) demand.bytes += part.bytes();
    if (known_.prior_scale == PriorScale::kMeasured) {
      const std::vector<TangentForm> dense(layout_.segments.size(), TangentForm::kDense);
      demand += objective.slopes_demand(dense, 1);
      demand.bytes += objective.size() * static_cast<Index>(sizeof(T));
    }
    if (blocks_) demand += blocks_->demand(objective);
    return demand;
  }

 private:
  StateView<double> memory() const {
    StateView<double> all{.steps = steps_, .vectors = {}};
    const auto append = [&](const StateView<double>& part) {
      all.vectors.insert(all.vectors.end(), part.vectors.begin(), part.vectors.end());
    };
    if (known_.prior) append(known_.prior->state());
    if (fits_prior()) all.vectors.push_back({"prior_fit", fit_});
    if (known_.scales) append(known_.scales->state());
    return all;
  }
  static const StateView<double>::Vector& named(const StateView<double>& state, std::string_view name) {
    return *std::ranges::find(state.vectors, name, &StateView<double>::Vector::name);
  }
  std::shared_ptr<const Vector> prior() const { return known_.prior ? known_.prior->vector() : nullptr; }
  bool fits_prior() const { return known_.prior && known_.prior_scale == PriorScale::kFitted; }
  // A prior of zeros has no direction to take a slope along.
  bool measures_prior() const {
    const auto m = prior();
    return m && known_.prior_scale == PriorScale::kMeasured && dot(m->data(), m->data(), layout_.size) > 0;
  }

  double prior_scale(Objective<T>& objective, const Parameters<T>& parameters) const {
    if (known_.prior_scale == PriorScale::kMeasured) {
      if (!measures_prior()) return 0;
      const Vector& m = *prior();
      const double norm = std::sqrt(dot(m.data(), m.data(), layout_.size));
      std::vector<T> direction(m.size());
      std::ranges::transform(m, direction.begin(), [&](double entry) { return static_cast<T>(entry / norm); });
      const auto tangent = Tangents<T>::dense(layout_, 1, std::span<const T>(direction));
      return objective.slopes(parameters, tangent).slopes[0] / norm;
    }
    return known_.prior_scale == PriorScale::kOne ? 1 : fitted_scale();
  }
  double fitted_scale() const { return fit_[1] > 0 ? fit_[0] / fit_[1] : 0; }
  // The a that an estimate at this gradient has.
  double expected_scale(const GradientView& gradient, const Vector& m) const {
    if (known_.prior_scale != PriorScale::kMeasured) return known_.prior_scale == PriorScale::kOne ? 1 : fitted_scale();
    return measures_prior()
               ? dot(gradient.values().data(), m.data(), layout_.size) / dot(m.data(), m.data(), layout_.size)
               : 0;
  }
  // D(∇ − a m).
  Vector residual(const GradientView& gradient) const {
    Vector rest(gradient.values().begin(), gradient.values().end());
    if (const auto m = prior()) axpy(-expected_scale(gradient, *m), m->data(), rest.data(), layout_.size);
    if (known_.scales) known_.scales->apply(rest, 1);
    return rest;
  }

  NoiseEstimate noise_of(const Vector& slopes, const Vector& residuals, const Vector& block_slopes) const {
    const double left = dot(residuals.data(), residuals.data(), source_.count()) / static_cast<double>(source_.count());
    NoiseEstimate noise{.residual_squared_norm = left};
    if (!known_.scales) {
      noise = estimate_noise(source_.probe(), slopes);
    } else if (blocks_) {
      // √Σ_b s_b² has the mean square of one slope along the whole, and no heavier tails.
      const double whole = std::sqrt(dot(block_slopes.data(), block_slopes.data(), blocks_->blocks()));
      noise = estimate_noise(source_.probe(), std::span(&whole, 1));
    } else {
      constexpr double kInfinity = std::numeric_limits<double>::infinity();
      noise.squared_norm = std::numeric_limits<double>::quiet_NaN();
      noise.squared_norm_high = kInfinity;
      noise.confidence = 1;
    }
    noise.residual_squared_norm = left;
    if (known_.scales || prior()) {
      noise.snr_low = 0;
      noise.snr_high = std::numeric_limits<double>::infinity();
    }
    return noise;
  }

  std::string name_;
  ParameterLayout layout_;
  Information known_;
  detail::TangentSource<T> source_;
  std::unique_ptr<detail::BlockTangents<T>> blocks_;  // null unless scales go by block
  Index steps_ = 0;
  Vector fit_{0.0, 0.0};  // running sums of s (m·v) and (m·v)²
};

// γ as asked for, or the one that brings a running mean to a constant gradient fastest. `limited`: throws ArgumentError
// for one that makes the mean diverge.
double learning_share(std::string_view name, const ParameterLayout& layout, const EstimatorOptions& options,
                      bool limited) {
  const double snr = make_probe(options.law, layout, options.seed, options.law_options)->snr(options.tangents).low;
  const double best = std::isinf(snr) ? 1 : snr / (1 + snr);
  const double share = options.learning_share == 0 ? best : options.learning_share;
  if (limited && !(share < 2 * best)) {
    throw ArgumentError(
        fmt::format("{}: learning_share: expected a number below 2 SNR/(1 + SNR) = {}, beyond which the running mean "
                    "diverges, found {} (fewer tangents a mean looks back over; take more, or a fitted scale)",
                    name, 2 * best, share));
  }
  return share;
}

EstimatorFamily momentum(std::string name, std::string summary, PriorScale scale) {
  return estimator_family(
      name, std::move(summary),
      [name, scale]<class T>(std::type_identity<T>, const EstimatorTarget& target, const EstimatorOptions& options) {
        const double share = learning_share(name, target.layout, options, scale == PriorScale::kOne);
        return informed_estimator<T>(
            name, target.layout, options,
            {.prior = running_mean_prior(target.layout.size, share), .prior_scale = scale, .scales = {}});
      });
}

}  // namespace

template <class T>
std::unique_ptr<Estimator<T>> informed_estimator(std::string name, const ParameterLayout& layout,
                                                 const EstimatorOptions& options, Information information) {
  return std::make_unique<Informed<T>>(std::move(name), layout, options, std::move(information));
}

EstimatorFamily momentum_family() {
  return momentum("momentum", "running mean as control variate", PriorScale::kOne);
}
EstimatorFamily momentum_fitted_family() {
  return momentum("momentum-fitted", "running mean as control variate, its scale fitted to earlier slopes",
                  PriorScale::kFitted);
}
EstimatorFamily momentum_tangent_family() {
  return momentum("momentum-tangent", "running mean as control variate, its scale from a slope along it",
                  PriorScale::kMeasured);
}
EstimatorFamily block_scales_family() {
  return estimator_family(
      "block-scales", "tangents scaled to the gradient's norm in each block",
      []<class T>(std::type_identity<T>, const EstimatorTarget& target, const EstimatorOptions& options) {
        return informed_estimator<T>("block-scales", target.layout, options,
                                     {.prior = {}, .scales = block_scales(target.layout)});
      });
}
EstimatorFamily entry_scales_family() {
  return estimator_family(
      "entry-scales", "tangents scaled to the running mean's entries",
      []<class T>(std::type_identity<T>, const EstimatorTarget& target, const EstimatorOptions& options) {
        const double share = learning_share("entry-scales", target.layout, options, false);
        return informed_estimator<T>("entry-scales", target.layout, options,
                                     {.prior = {}, .scales = entry_scales(target.layout.size, share)});
      });
}

template std::unique_ptr<Estimator<float>> informed_estimator<float>(std::string, const ParameterLayout&,
                                                                     const EstimatorOptions&, Information);
template std::unique_ptr<Estimator<double>> informed_estimator<double>(std::string, const ParameterLayout&,
                                                                       const EstimatorOptions&, Information);

}  // namespace slopewise
