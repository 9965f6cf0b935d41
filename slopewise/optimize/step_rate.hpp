// A learning rate for steps of any optimizer from any gradient, from what the loss does along the steps themselves: no
// search, no backward pass.
//
//   StepRate rate;
//   const bool looks = StepRate::looks_at(step);
//   StepLook look{.loss = estimate.loss()};
//   double taken = 0;
//   optimizer->step(theta, estimate, [&](const StepDirection& direction) {
//     if (looks) {
//       const Slopes found = look_along(objective, theta, direction);
//       look.slope = found.slopes[0], look.curvature = found.curvatures[0];
//       rate.watch(look);
//     }
//     return taken = rate.rate();
//   });
//   if (looks) rate.met(look, taken, objective.loss(theta));
#pragma once

#include <limits>
#include <vector>

#include "slopewise/optimize/step_outlook.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

struct StepRateOptions {
  double safety = 1;  // in (0, 2): the rate over that of steepest descent
  Index memory = 20;  // looks that means go back over
};

// A loss, and its slope ∇_B·d and second-order term dᵀH_Bd along the direction d of a step θ −= ηd, before it is taken.
struct StepLook {
  double loss = 0, slope = 0, curvature = 0;
};

// The step lowers the loss of the batch that d was made from by ηs − ½η²c, most at η = E[s]/E[c]. The batch is that of
// the step on purpose: on another one E[s] is smaller by the mini-batch's noise, and the rate that is best for the very
// next step too small for the many that follow, over which the schedule averages (short-horizon bias, Wu et al. 2018,
// arXiv 1803.02021). Noise of tangents, which no batch shares, counts in full.
//
// Steps that are too long do more harm than short ones, so of all that is known of curvature the most counts: |c| in
// place of c, as along a step that bends downwards a quadratic says nothing; what the step then meets where that is
// more, c = 2(ηs − decrease)/η², as kinks and higher orders are not in dᵀHd; and of two means, one over `memory` looks
// and one over a fifth of them, the larger. In the first steps, of which there are no means yet, none may be expected
// to take off more than kMostOfLoss of a positive loss.
class StepRate {
 public:
  // Throws ArgumentError for options out of range.
  explicit StepRate(const StepRateOptions& options = {});

  // Steps that are looked at: the first, in which curvature changes most, and then one in kEvery. A look costs a
  // forward pass with second-order terms along one tangent, and a loss.
  static bool looks_at(Index step) { return step < kFirst || step % kEvery == 0; }
  static constexpr Index kFirst = 20, kEvery = 10;
  static constexpr double kMostOfLoss = 0.05;
  // What has served: steps that slopes make, that many a step, are noise for the most part and want a third.
  static double safety_of(Index slopes) { return slopes == 0 ? 1 : 1.0 / 3; }

  // Takes in what was seen along a step's direction. Throws NumericError for numbers that are not finite.
  void watch(const StepLook& look);
  // The rate of the next step, or of the one that was just looked at. 0 before anything is known and where steps lead
  // upwards.
  double rate() const;
  // Takes in what became of the step that was last looked at: its rate, and the loss of the same batch after it.
  void met(const StepLook& look, double rate, double loss);
  // Of steps on their own batches, by these means; zeros before anything is known.
  StepOutlook outlook() const;

  // The looks so far, and "means".
  StateView<double> state() const { return detail::view_of(looks_, memory_); }
  // Throws as Optimizer::restore does.
  void restore(const StateView<double>& state);

 private:
  enum Mean : std::size_t { kSlope, kSlowCurvature, kFastCurvature };
  double& mean(Mean i) { return memory_[0].values[i]; }
  double mean(Mean i) const { return memory_[0].values[i]; }
  // The share of its mean that the newest look has.
  double newest(Mean i) const;

  StepRateOptions options_;
  Index looks_ = 0;
  std::vector<NamedVector<double>> memory_{{"means", {0, 0, 0}}};
  double most_ = std::numeric_limits<double>::infinity();  // of the step that was looked at, one of the first
};

}  // namespace slopewise
