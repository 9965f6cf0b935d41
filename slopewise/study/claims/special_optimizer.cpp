// What an optimizer can do about the noise: average over steps. Momentum β at a gradient that stands still has in
// (1 − β)u / (1 − βᵗ), after t steps, the mean ∇ and (1 − β)(1 + βᵗ) / ((1 + β)(1 − βᵗ)) of one estimate's variance,
// whatever n is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/optimize/optimizer.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr double kMomenta[] = {0, 0.5, 0.9, 0.95};
// Steps of a run, in memories 1/(1 − β): the average has settled. Runs, from no memory each, are as many as have so
// many degrees of freedom together.
constexpr double kMemories = 6;
constexpr Index kDegrees = 2000, kLeastDegrees = 500;

// ‖Σ w_t g_t − ∇‖² with w_t ∝ βᵗ is nearly n Σ w_t² s_t², s_t normal, and so nearly a multiple of a χ² with
// (Σ w²)²/Σ w⁴ degrees of freedom (Satterthwaite 1946).
double degrees_of_run(double momentum, Index steps) {
  double squares = 0, fourths = 0;
  for (Index t = 0; t < steps; ++t) {
    const double square = std::pow(momentum, 2 * static_cast<double>(t));
    squares += square;
    fourths += square * square;
  }
  return squares * squares / fourths;
}

// ‖(1 − β)u / (1 − βᵗ) − ∇‖² after t steps of the optimizer "momentum" that leave θ where it is, one number a run.
std::vector<double> squared_errors(const Subject& subject, double momentum, Index steps, Index runs,
                                   std::uint64_t seed) {
  struct Worker {
    Worker(const Subject& of, std::uint64_t with)
        : objective(of.objective()),
          estimator(make_estimator<float>("forward", of.layout(), {.seed = with})),
          theta(of.parameters()) {}
    ProgramObjective<float> objective;
    std::unique_ptr<Estimator<float>> estimator;
    Parameters<float> theta;
  };
  const GradientView& gradient = subject.gradient();
  const double scale = (1 - momentum) / (1 - std::pow(momentum, static_cast<double>(steps)));
  std::vector<double> errors(static_cast<std::size_t>(runs));
  PerThread<Worker> workers;
  parallel_for(runs, [&](Index run) {
    Worker& own = workers.own(subject, seed);
    const auto optimizer = make_optimizer<float>("momentum", subject.size(), {.momentum = momentum});
    for (Index step = 0; step < steps; ++step) {
      check_interrupted("averaging gradient estimates");
      const auto number = static_cast<std::uint32_t>(run * steps + step);
      optimizer->step(own.theta, own.estimator->estimate(own.objective, own.theta, number), 0);
    }
    const std::span<const float> velocity = optimizer->state().vectors[0].values;
    double& error = errors[run];
    for (Index i = 0; i < gradient.size(); ++i) {
      const double off = scale * double{velocity[i]} - gradient[i];
      error += off * off;
    }
  });
  return errors;
}

ClaimResult measure_special_optimizer(StudyContext& context) {
  const Subject subject = context.small();
  const auto n = static_cast<double>(subject.size());
  const double plain = (n + 1) * subject.gradient().squared_norm();
  const auto tests = static_cast<Index>(std::size(kMomenta));
  Series series{.name = "momenta",
                .columns = {"momentum", "steps averaged", "predicted SNR / plain", "measured", "low", "high"},
                .rows = {}};
  ClaimResult result;
  bool all = true;
  for (const double momentum : kMomenta) {
    const auto steps = static_cast<Index>(std::ceil(kMemories / (1 - momentum)));
    const double left = std::pow(momentum, static_cast<double>(steps));
    const double predicted = (1 + momentum) * (1 - left) / ((1 - momentum) * (1 + left));
    const double each = degrees_of_run(momentum, steps);
    const auto runs =
        static_cast<Index>(std::ceil(static_cast<double>(context.samples(kDegrees, kLeastDegrees)) / each));
    const double degrees = each * static_cast<double>(runs);
    const double error = mean_of(squared_errors(subject, momentum, steps, runs,
                                                context.seed(fmt::format("special-optimizer, momentum {}", momentum))))
                             .value;
    const Interval errors = scale_interval(degrees * error, degrees, share_of_confidence(tests));
    result = judge(fmt::format("signal-to-noise ratio with momentum {} / without", momentum), predicted, plain / error,
                   {plain / errors.high, plain / errors.low});
    all = all && result.verdict == Verdict::kHolds;
    series.rows.push_back(
        {momentum, (1 + momentum) / (1 - momentum), predicted, result.measured, result.low, result.high});
  }
  result.verdict = all ? Verdict::kHolds : Verdict::kFails;
  result.condition = fmt::format(
      "at weights that stand still, whatever n; a ratio of 1 takes momentum 1 − 2/(n + 2), a memory of {:.0f} steps "
      "for n "
      "= {}",
      (n + 2) / 2, subject.size());
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim special_optimizer_claim() {
  return {.name = "special-optimizer",
          .statement =
              "Momentum β raises the signal-to-noise ratio by (1 + β)/(1 − β), and no more: an optimizer that "
              "averages the noise away has to remember n/2 steps",
          .equation = "",
          .weight = 3,
          .refusal = on_perceptrons("it takes some ten thousand estimates, of a network of 8 units"),
          .run = measure_special_optimizer};
}

}  // namespace slopewise
