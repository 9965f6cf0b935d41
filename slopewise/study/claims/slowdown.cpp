// Steps with one forward gradient over steps with the exact one, each at its best rate. As the noise is n times the
// signal one may expect n times as many; on a quadratic it is (tr H + 2λ)/λ, n + 2 where curvature is the same in all
// directions, and mini-batches multiply it by about E‖∇ₘ‖²/‖∇‖².
#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/objective/function_objective.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/study/descent.hpp"
#include "slopewise/train/spread.hpp"

namespace slopewise {
namespace {

constexpr Index kSlowdownSet = 256, kSlowdownBatch = 16;
// A network small enough for many runs: those that choose a rate, and those at the chosen one.
constexpr Index kSlowdownUnits = 16, kSlowdownChoosing = 3, kSlowdownRuns = 9;
constexpr double kMostSlowSteps = 20'000;
// Of the quadratic, and the steps taken on it.
constexpr Index kBowlSize = 100, kBowlSteps = 4000;

// L = ½ ‖θ‖².
struct Bowl {
  template <class S>
  S operator()(std::span<const S> theta) const {
    S sum(0.0);
    for (const S& entry : theta) sum += entry * entry;
    return 0.5 * sum;
  }
};

// Steps of forward gradients over exact ones on L = ½‖θ‖²: the exact one takes all of the loss away, a forward one at
// its best rate 1/(n + 2) a share of 1/(n + 2) on average.
Measured slowdown_in_a_bowl(const StudyContext& context) {
  const Parameters<double> theta(std::vector<double>(static_cast<std::size_t>(kBowlSize), 1.0));
  FunctionObjective<Bowl> objective({}, kBowlSize);
  const auto estimator =
      make_estimator<double>("forward", objective.layout(), {.seed = context.seed("slowdown in a bowl")});
  const double loss = objective.loss(theta);
  std::vector<double> falls;
  Parameters<double> moved = theta;
  for (Index step = 0; step < kBowlSteps; ++step) {
    check_interrupted("stepping in a bowl");
    moved = theta;
    estimator->estimate(objective, theta, static_cast<std::uint32_t>(step))
        .add_to(moved, -1 / static_cast<double>(kBowlSize + 2));
    falls.push_back(1 - objective.loss(moved) / loss);
  }
  return function_of_means({&falls, 1}, [](std::span<const double> mean) { return 1 / mean[0]; });
}

// Where an interval lies beside a number.
const char* beside(const Interval& interval, double number) {
  return interval.contains(number) ? "not clear of" : number < interval.low ? "above" : "below";
}

ClaimResult measure_slowdown(StudyContext& context) {
  const Dataset& data = context.train();
  const std::vector<Index> indices = context.examples(std::min(kSlowdownSet, data.count()));
  const Subject full = context.perceptron({&kSlowdownUnits, 1}, indices);
  const std::uint64_t seed = context.seed("slowdown");
  const Curvature curvature = full.curvature(128, seed);
  const TunedDescent exact =
      tune_descent(full, curvature.highest_exact_rate() / 2, 500, 1, [&](Index) { return exact_descent(full); });
  const double rate = curvature.highest_rate() / 2;
  const auto tuned = [&](double start, const std::function<DescentStep(std::uint64_t run_seed)>& descent) {
    const auto run_from = [&](Index first) {
      return [&, first](Index run) { return descent(derive_seed(seed, static_cast<std::uint64_t>(first + run))); };
    };
    const TunedDescent chosen = tune_descent(full, start, kMostSlowSteps, kSlowdownChoosing, run_from(0));
    return std::isfinite(chosen.steps) ? repeat_descent(full, chosen, kSlowdownRuns, run_from(kSlowdownChoosing))
                                       : chosen;
  };
  const TunedDescent forward = tuned(rate, [&](std::uint64_t run_seed) { return forward_descent(full, run_seed); });
  if (!std::isfinite(exact.steps) || !std::isfinite(forward.steps))
    throw NumericError("slowdown: a network of 16 units did not come to half of its initial loss");

  const double n = static_cast<double>(full.size());
  const Ratio slowdown = steps_ratio(forward, exact.steps, kObservedConfidence);
  ClaimResult result = judge(fmt::format("steps to half the loss / steps of exact gradients, n = {}", full.size()),
                             n + 2, slowdown.value, slowdown.interval);
  result.confidence = kObservedConfidence;
  // What theory says.
  const Measured bowl = slowdown_in_a_bowl(context);
  const Interval in_a_bowl = bowl.interval(kClaimConfidence);
  if (!in_a_bowl.contains(static_cast<double>(kBowlSize) + 2)) {
    result.verdict = Verdict::kFails;
  } else if (result.verdict == Verdict::kFails) {
    result.verdict = Verdict::kDiffers;
  }

  Series series{.name = "slowdown", .columns = {"measured", "low", "high", "of a quadratic"}, .rows = {}};
  const auto add = [&](const std::string& label, const Ratio& found, double of_a_quadratic) {
    series.rows.push_back({found.value, found.interval.low, found.interval.high, of_a_quadratic});
    series.labels.push_back(label);
    return fmt::format("{:.0f} times the steps ({:.0f} to {:.0f}) with {}, {} {:.0f}", found.value, found.interval.low,
                       found.interval.high, label, beside(found.interval, of_a_quadratic), of_a_quadratic);
  };
  result.condition = fmt::format(
      "n + 2 times on a quadratic of the same curvature in all n = {} directions: there it is {:.1f} ({:.1f} to "
      "{:.1f}); the network takes, beside the (tr H + 2λ)/λ of a quadratic with its curvature at the start, {}",
      kBowlSize, bowl.value, in_a_bowl.low, in_a_bowl.high, add("the full batch", slowdown, curvature.slowdown()));
  if (!context.options().quick) {  // some ten thousand steps
    Parameters<float> halfway = full.parameters();
    const DescentStep down = exact_descent(full);
    for (std::uint32_t step = 0; step < exact.steps; ++step) {
      check_interrupted("descending");
      down(halfway, step, exact.rate);
    }
    // Over the way from start to target.
    const double factor = (measure_spread(data, full.program(), full.parameters(), indices).factor(kSlowdownBatch) +
                           measure_spread(data, full.program(), halfway, indices).factor(kSlowdownBatch)) /
                          2;
    const TunedDescent parts = tuned(rate / factor, [&](std::uint64_t run_seed) {
      return minibatch_descent(full, data, indices, kSlowdownBatch, run_seed);
    });
    if (std::isfinite(parts.steps)) {
      result.condition +=
          fmt::format(", and {}, that times the {:.1f} of E‖∇ₘ‖²/‖∇‖² on the way",
                      add(fmt::format("mini-batches of {}", kSlowdownBatch),
                          steps_ratio(parts, exact.steps, kObservedConfidence), factor * curvature.slowdown()),
                      factor);
    }
  }
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim slowdown_claim() {
  return {.name = "slowdown",
          .statement = "With noise n times the signal, forward gradients take n times as many steps as exact ones",
          .equation = "",
          .weight = 5,
          .refusal = on_perceptrons("it trains a network of 16 units many hundred times"),
          .run = measure_slowdown};
}

}  // namespace slopewise
