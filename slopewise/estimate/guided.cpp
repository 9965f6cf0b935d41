// Guided evolution strategies (Maheswaranathan et al. 2019, arXiv 1806.10230): v ~ N(0, Σ) with
//   Σ = α I + (1 − α)(n/r) U Uᵀ,  tr Σ = n,
// U an orthonormal basis of the last r estimates, and g = (1/K) Σ_k s_k v_k. It is biased towards U: E[g] = Σ∇, and by
// Wick's formula V[g_i] = ((∇ᵀΣ∇) Σ_ii + (Σ∇)_i²)/K, in all ((∇ᵀΣ∇) n + ‖Σ∇‖²)/K. The unbiased Σ⁻¹(∇·v)v is not
// offered: its variance is least where U is drawn *less* than the rest, and a slope along a prior does better.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/families.hpp"
#include "slopewise/probe/draw_of.hpp"
#include "slopewise/tensor/random.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

using Vector = std::vector<double>;
using Basis = std::vector<Vector>;  // orthonormal

// A vector less its part in the span of those before it counts as new if this share of its length is left.
constexpr double kLeastNew = 1e-6;

// √α z + Σ_j c_kj U_j for the tangents z of a draw.
class GuidedDraw final : public DrawOf<GuidedDraw> {
 public:
  GuidedDraw(std::shared_ptr<const Draw> draw, double scale, std::shared_ptr<const Basis> basis, Vector coefficients)
      : DrawOf(draw->layout(), draw->count()),
        draw_(std::move(draw)),
        scale_(scale),
        basis_(std::move(basis)),
        coefficients_(std::move(coefficients)) {}
  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    draw_->fill(k, first, out);
    for (T& entry : out) entry *= static_cast<T>(scale_);
    for (std::size_t j = 0; j < basis_->size(); ++j) {
      const double c = coefficients_[static_cast<std::size_t>(k) * basis_->size() + j];
      const double* u = (*basis_)[j].data() + first;
      for (std::size_t i = 0; i < out.size(); ++i) out[i] += static_cast<T>(c * u[i]);
    }
  }

 private:
  std::shared_ptr<const Draw> draw_;
  double scale_;
  std::shared_ptr<const Basis> basis_;
  Vector coefficients_;  // (K, r)
};

template <class T>
class Guided final : public Estimator<T> {
 public:
  Guided(const EstimatorTarget& target, const EstimatorOptions& options)
      : share_(options.isotropic_share),
        subspace_(options.subspace),
        source_(target.layout, options, true),
        basis_(std::make_shared<const Basis>()) {
    if (options.law != "gaussian")
      throw ArgumentError(fmt::format("guided: expected the law gaussian, found '{}'", options.law));
    if (!(share_ > 0 && share_ <= 1)) {
      throw ArgumentError(
          fmt::format("guided: isotropic_share: expected a number above 0 and up to 1, found {}", share_));
    }
    if (subspace_ < 1 || subspace_ > target.layout.size) {
      throw ArgumentError(
          fmt::format("guided: subspace: expected 1 to n = {} dimensions, found {}", target.layout.size, subspace_));
    }
    past_.assign(static_cast<std::size_t>(subspace_),
                 {.name = "", .values = Vector(static_cast<std::size_t>(target.layout.size))});
    for (std::size_t j = 0; j < past_.size(); ++j) past_[j].name = fmt::format("past_{}", j);
  }
  std::string_view name() const override { return "guided"; }
  Index slopes() const override { return source_.count(); }
  AnswerKinds asks() const override { return {.tangents = source_.count()}; }
  Vector mean(const GradientView& gradient) const override {
    Vector mean(gradient.values().begin(), gradient.values().end());
    for (double& entry : mean) entry *= isotropic();
    for (const Vector& u : *basis_) {
      const double along = dot(u.data(), gradient.values().data(), gradient.size());
      axpy(guided() * along, u.data(), mean.data(), gradient.size());
    }
    return mean;
  }
  Vector entry_variances(const GradientView& gradient) const override {
    Vector variances = mean(gradient);
    const double square = dot(variances.data(), gradient.values().data(), gradient.size());
    for (std::size_t i = 0; i < variances.size(); ++i) {
      double diagonal = isotropic();
      for (const Vector& u : *basis_) diagonal += guided() * u[i] * u[i];
      variances[i] = (square * diagonal + variances[i] * variances[i]) / static_cast<double>(source_.count());
    }
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    const Vector expected = mean(gradient);
    const double square = dot(expected.data(), gradient.values().data(), gradient.size());
    return (square * static_cast<double>(gradient.size()) + dot(expected.data(), expected.data(), gradient.size())) /
           static_cast<double>(source_.count());
  }

  Demand demand(Objective<T>& objective) const override {
    Demand demand = source_.demand(objective);
    demand.bytes += 2 * static_cast<Index>(sizeof(double)) * subspace_ * objective.size();  // the past and its basis
    return demand;
  }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    // Entries from n on of the tangent's own stream: the isotropic part takes those before.
    const Probe& probe = source_.probe();
    const Index count = source_.count(), rank = static_cast<Index>(basis_->size());
    Vector coefficients(static_cast<std::size_t>(count * rank));
    for (Index k = 0; k < count; ++k) {
      fill_gaussian(
          {.seed = probe.seed(), .step = step, .stream = static_cast<std::uint32_t>(k)},
          round_up(probe.layout().size, kGaussianGroup),
          std::span(coefficients).subspan(static_cast<std::size_t>(k * rank), static_cast<std::size_t>(rank)));
    }
    for (double& c : coefficients) c *= std::sqrt(guided());
    const auto [draw, tangents] = source_.hold(
        std::make_shared<GuidedDraw>(probe.draw(step, count), std::sqrt(isotropic()), basis_, std::move(coefficients)));
    Slopes found = objective.slopes(parameters, tangents);
    Vector weights = found.slopes;
    for (double& weight : weights) weight /= static_cast<double>(count);
    const NoiseEstimate noise = noise_of(found.slopes);
    return {std::move(found), std::move(weights), draw, noise};
  }

  void learn(const GradientEstimate& estimate, double) override {
    std::vector<double>& oldest = past_[steps_ % subspace_].values;
    estimate.materialize(std::span(oldest));
    ++steps_;
    derive();
  }
  std::vector<StatePart> state() const override { return {{name_of_state(), detail::view_of(steps_, past_)}}; }
  void restore(const std::vector<StatePart>& state) override {
    const StateView<double>& past = detail::part_of<double>(name(), state, name_of_state());
    detail::copy_state(name(), past, past_);
    steps_ = past.steps;
    derive();
  }

 private:
  static std::string name_of_state() { return "subspace"; }
  // Σ = isotropic() I + guided() U Uᵀ.
  double isotropic() const { return basis_->empty() ? 1 : share_; }
  double guided() const {
    return basis_->empty() ? 0
                           : (1 - share_) * static_cast<double>(source_.probe().layout().size) /
                                 static_cast<double>(basis_->size());
  }

  // Gram–Schmidt, twice, as one pass leaves what rounding makes of nearly dependent estimates.
  void derive() {
    Basis basis;
    for (const auto& [name, values] : past_) {
      Vector u = values;
      const auto size = static_cast<Index>(u.size());
      const double length = std::sqrt(dot(u.data(), u.data(), size));
      for (int pass = 0; pass < 2; ++pass) {
        for (const Vector& before : basis) axpy(-dot(before.data(), u.data(), size), before.data(), u.data(), size);
      }
      const double left = std::sqrt(dot(u.data(), u.data(), size));
      if (!(left > kLeastNew * length)) continue;
      for (double& entry : u) entry /= left;
      basis.push_back(std::move(u));
    }
    basis_ = std::make_shared<const Basis>(std::move(basis));
  }

  // Guided slopes have the mean square ∇ᵀΣ∇, of which ‖∇‖² cannot be told.
  NoiseEstimate noise_of(const Vector& slopes) const {
    NoiseEstimate noise = estimate_noise(source_.probe(), slopes);
    if (basis_->empty()) return noise;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return {.squared_norm = std::numeric_limits<double>::quiet_NaN(),
            .squared_norm_high = kInfinity,
            .confidence = 1,
            .residual_squared_norm = noise.residual_squared_norm,
            .snr_low = 0,
            .snr_high = kInfinity};
  }

  double share_;
  Index subspace_;
  detail::TangentSource<T> source_;
  Index steps_ = 0;
  std::vector<NamedVector<double>> past_;  // the last estimates, the oldest overwritten first
  std::shared_ptr<const Basis> basis_;
};

}  // namespace

EstimatorFamily guided_family() {
  return estimator_family<Guided>("guided", "tangents partly in the span of past estimates (biased)");
}

}  // namespace slopewise
