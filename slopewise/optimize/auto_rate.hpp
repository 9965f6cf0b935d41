// A learning rate for forward gradients from slopes and second-order terms alone: no search, no backward pass.
//
//   AutoRate rate;
//   for each step:
//     const auto found = objective.curvatures(theta, tangents);  // or slopes alone, most of the time
//     rate.watch_curvature(found.slopes, found.curvatures);
//     rate.watch(found.slopes, found.example_squares, found.examples);
//     … θ −= rate.rate(K) g, with slopes beyond rate.limit() clipped
#pragma once

#include <span>
#include <vector>

#include "slopewise/optimize/step_outlook.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

struct AutoRateOptions {
  double safety = 0.5;  // in (0, 2): the rate over that of steepest expected descent; from 2 on there is no descent
  Index warm_up = 100;  // steps over which the rate comes up from 0, while means are of few numbers
  Index slope_memory = 1000;    // steps that means of slopes look back over
  Index curvature_memory = 50;  // second-order measurements that their means look back over
  double spike = 4;             // above 1: limit() in root mean squares of the slopes
};

// Along K tangents with slopes s_k = ∇_B·v_k of a batch and c_k = v_kᵀHv_k, a step θ −= η g, g = (1/K) Σ_k s_k v_k,
// lowers the loss by η‖∇‖² − ½η²Q on average, most at η = ‖∇‖²/Q:
//   Q = E[gᵀHg] = E[s²c]/K + (1 − 1/K) E[∇_BᵀH∇_B].
// E[s²c] is the mean of what is measured, for any law. For Gaussian tangents it is E‖∇_B‖² tr H + 2 E[∇_BᵀH∇_B], from
// which the last term is taken; other laws differ from it by terms of single entries. ‖∇‖²/E‖∇_B‖², the share of the
// squared slopes that is no noise of the batch, comes from slopes s_b of single examples: the product of those of two
// different ones has the mean (v·∇)². Curvature that rises is what makes steps diverge, so of two means of
// E[s²c]/E[s²], one over curvature_memory and one over a tenth of it, the larger counts. (docs/theory.md, equations (3)
// and (4).)
class AutoRate {
 public:
  // Throws ArgumentError for options out of range.
  explicit AutoRate(const AutoRateOptions& options = {});

  // Takes in the second-order terms of a step beside its slopes (K each). Slopes beyond limit() count as the limit,
  // here and in watch(). Throws ShapeError for other sizes, NumericError for numbers that are not finite.
  void watch_curvature(std::span<const double> slopes, std::span<const double> curvatures);
  // Takes in the slopes (K) of a step and, for each tangent, the mean square of those of its B examples (K); none where
  // the batch is all the data. After watch_curvature of the same step. Throws in the same way.
  void watch(std::span<const double> slopes, std::span<const double> example_squares = {}, Index examples = 0);

  // The rate of the next step along K tangents. 0 before anything is known, and where curvature is nowhere positive.
  double rate(Index tangents) const;
  // What the means say of steps along K tangents; zeros before anything is known.
  StepOutlook outlook(Index tangents) const;
  // A slope beyond this, `spike` root mean squares of those before, leads where nothing was measured: clip it
  // (slope_factors of clip.hpp) and say so. Infinite at first.
  double limit() const;

  // Running means, NaN before there is anything: tr H, E‖∇_B‖², and the share ‖∇‖²/E‖∇_B‖², which is taken to be no
  // less than the error √(2/steps) of its mean.
  double trace() const;
  double squared_slope() const;
  double signal_share() const;

  // The steps watched, and "slopes" and "curvatures".
  StateView<double> state() const { return detail::view_of(steps_, memory_); }
  // Throws as Optimizer::restore does.
  void restore(const StateView<double>& state);

 private:
  enum Slope : std::size_t { kSquare, kSignal };
  enum Curvature : std::size_t { kCount, kTrace, kSquareSlow, kProductSlow, kSquareFast, kProductFast };
  double& slope(Slope i) { return memory_[0].values[i]; }
  double slope(Slope i) const { return memory_[0].values[i]; }
  double& curvature(Curvature i) { return memory_[1].values[i]; }
  double curvature(Curvature i) const { return memory_[1].values[i]; }
  double clipped(double slope) const;
  double curvature_met(Index tangents) const;

  AutoRateOptions options_;
  Index steps_ = 0;
  std::vector<NamedVector<double>> memory_{{"slopes", {0, 0}}, {"curvatures", {0, 0, 0, 0, 0, 0}}};
};

}  // namespace slopewise
