// The forward gradient g = (1/K) Σ_k s_k v_k with slopes from losses alone, θ moved where it lies and the tangents
// drawn again for every move, so that a step needs the memory of inference: "central", (L(θ + ε v) − L(θ − ε v)) / 2ε
// (SPSA, Spall 1992; along one Gaussian tangent and with plain descent it is MeZO, Malladi et al. 2023, arXiv
// 2305.17333, algorithm 1), and "one-sided", (L(θ + ε v) − L(θ)) / ε, K + 1 losses in place of 2 K.
//
// Differences add rounding of order 1/ε and a bias. For Gaussian v the mean of either is, by Stein's lemma, the
// gradient of the smoothed loss E L(θ + εv): where L is smooth ∇ + O(ε²), but for each rectified unit of an example, a
// = ∂L/∂h, −sgn(z) Φ(−|z| / ε‖∂z/∂θ‖) a ∂z/∂θ more. Such units are a share of order ε of all and their signs are mixed,
// so that the bias falls as √ε, until none is left: on networks of two rectified layers of 8 and 32 units and 64 digits
// it is .29 ‖∇‖ at ε = 1e-2 and about .1 ‖∇‖ at 1e-3, with tanh .02 and .0002. The prediction knows L by its gradient
// alone and leaves the bias out; with one side also ε²/4 V[(vᵀHv) v] of the variance, which both sides cancel.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/families.hpp"

namespace slopewise {
namespace {

template <class T>
class Differences : public detail::AlongLaw<T> {
 public:
  Differences(const EstimatorTarget& target, const EstimatorOptions& options, std::string_view name, bool both_sides)
      : detail::AlongLaw<T>(target.layout, options), name_(name), epsilon_(options.epsilon), both_sides_(both_sides) {
    if (!(epsilon_ > 0))
      throw ArgumentError(fmt::format("{}: expected a step epsilon above 0, found {}", name, epsilon_));
  }
  std::string_view name() const override { return name_; }
  Index slopes() const override { return 0; }
  bool slopes_are_gaussian() const override { return this->probe()->gaussian(); }
  Index losses() const override { return moves(nullptr).points(); }
  Demand demand(Objective<T>& objective) const override {
    Demand demand = Estimator<T>::demand(objective);
    demand.bytes += this->count() * this->probe()->draw_bytes();
    demand.answers += {.tangents = this->count(), .numbers = this->count()};
    if (objective.is_read()) demand.flops += objective.loss_demand().flops;
    return demand;
  }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    Parameters<T> moved(parameters);
    return estimate_in_place(objective, moved, step);
  }
  GradientEstimate estimate_in_place(Objective<T>& objective, Parameters<T>& parameters, std::uint32_t step) override {
    const std::shared_ptr<const Draw> draw = this->probe()->draw(step, this->count());
    return this->estimate_from(objective.differences(parameters, moves(draw.get())), draw);
  }

 private:
  Moves<T> moves(const Draw* draw) const {
    return {.count = this->count(),
            .along =
                [draw](Parameters<T>& theta, Index k, double factor) {
                  std::vector<double> coefficients(static_cast<std::size_t>(draw->count()));
                  coefficients[k] = factor;
                  draw->add_to(coefficients, theta);
                },
            .epsilon = epsilon_,
            .both_sides = both_sides_};
  }

  std::string_view name_;
  double epsilon_;
  bool both_sides_;
};

template <class T>
class Central final : public Differences<T> {
 public:
  Central(const EstimatorTarget& target, const EstimatorOptions& options)
      : Differences<T>(target, options, "central", true) {}
};

template <class T>
class OneSided final : public Differences<T> {
 public:
  OneSided(const EstimatorTarget& target, const EstimatorOptions& options)
      : Differences<T>(target, options, "one-sided", false) {}
};

EstimatorFamily by_losses(EstimatorFamily family) {
  family.losses_alone = true;
  return family;
}

}  // namespace

EstimatorFamily central_family() {
  return by_losses(estimator_family<Central>(
      "central", "differences of losses on both sides of theta along K tangents (SPSA, MeZO)"));
}
EstimatorFamily one_sided_family() {
  return by_losses(
      estimator_family<OneSided>("one-sided", "differences of losses from that at theta along K tangents (biased)"));
}

}  // namespace slopewise
