// Wall time to the same loss: steps with one forward gradient against steps with the exact one, from the same weights,
// each at its best learning rate. With r steps of the one for one of the other, forward gradients win only while
// r t_forward < t_exact, and r is at least 3 (Curvature::slowdown).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/statistics/fit.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/study/curvature.hpp"
#include "slopewise/study/timing.hpp"

namespace slopewise {
namespace {

// Where a run ends, as a share of the initial loss, and where it is given up as diverged.
constexpr double kTarget = 0.5;
constexpr double kDiverged = 4;
// A run may take this many times the steps predicted for it, and this many times those of the best rate so far.
constexpr double kPatience = 8, kWorse = 4;
// Powers of 2 searched on either side of the predicted best rate.
constexpr int kPowers = 6;
constexpr double kNever = std::numeric_limits<double>::infinity();

// One step at θ, which it moves; returns the loss before it.
using Step = std::function<double(Parameters<float>& theta, std::uint32_t step, double rate)>;

Step forward_step(const Subject& subject, std::uint64_t seed) {
  const auto objective = std::make_shared<ProgramObjective<float>>(subject.objective());
  const std::shared_ptr<Estimator<float>> estimator =
      make_estimator<float>("forward", subject.layout(), {.law = "rank-one", .seed = seed});
  return [=](Parameters<float>& theta, std::uint32_t step, double rate) {
    const GradientEstimate estimate = estimator->estimate(*objective, theta, step);
    estimate.add_to(theta, -rate);
    return estimate.loss();
  };
}

Step exact_step(const Subject& subject) {
  const auto objective = std::make_shared<ProgramObjective<float>>(subject.objective());
  return [=](Parameters<float>& theta, std::uint32_t, double rate) { return objective->descend(theta, rate); };
}

// Steps from the initial weights to the target; kNever for more than `most` or a run that diverged.
double steps_to_target(const Subject& subject, const Step& step, double rate, double most) {
  Parameters<float> theta = subject.parameters();
  try {
    for (std::uint32_t t = 0; t <= most; ++t) {
      check_interrupted("training to a target loss");
      const double loss = step(theta, t, rate);
      if (loss <= kTarget * subject.loss()) return t;
      if (loss > kDiverged * subject.loss()) return kNever;
    }
  } catch (const NumericError&) {  // diverged at once
  }
  return kNever;
}

// The best learning rate of a method, and its steps to the target, one number a seed.
struct Tuned {
  double rate = 0;
  double steps = kNever;  // the median
  std::vector<double> each;
};

// `runs` gives the steps at a rate. Walks from `start` by factors of 2, down and then up, while that helps.
Tuned tune(double start, double most, const std::function<std::vector<double>(double rate, double most)>& runs) {
  Tuned best;
  const auto improves = [&](int power) {
    const double rate = std::ldexp(start, power);
    std::vector<double> each = runs(rate, std::min(most, kWorse * best.steps));
    const double steps = median(each);
    if (!(steps < best.steps)) return false;
    best = {.rate = rate, .steps = steps, .each = std::move(each)};
    return true;
  };
  improves(0);
  for (const int direction : {-1, 1}) {
    for (int power = 1; power <= kPowers; ++power) {
      if (!improves(direction * power) && std::isfinite(best.steps)) break;
    }
  }
  return best;
}

struct Point {
  double size;  // n
  Curvature curvature;
  Tuned forward, exact;
  double forward_seconds, exact_seconds;  // of a step

  double slowdown() const { return forward.steps / exact.steps; }
  double time_ratio() const { return forward_seconds / exact_seconds; }
  bool reached() const { return std::isfinite(forward.steps) && std::isfinite(exact.steps); }
};

Point measure(StudyContext& context, Index hidden) {
  const bool quick = context.options().quick;
  const Subject subject = context.perceptron(std::span(&hidden, 1));
  const std::uint64_t seed = context.seed(fmt::format("crossover, {} units", hidden));
  Point point{.size = static_cast<double>(subject.size()),
              .curvature = measure_curvature(subject, quick ? 128 : 512, derive_seed(seed, 0))};
  const Curvature& curvature = point.curvature;

  // Each run has one thread: for networks this small a step is too short to share.
  const Index most_exact = quick ? 500 : 2000;
  {
    const ThreadScope one_thread(1);
    point.exact =
        tune(curvature.highest_exact_rate() / 2, static_cast<double>(most_exact), [&](double rate, double most) {
          return std::vector{steps_to_target(subject, exact_step(subject), rate, most)};
        });
  }
  const double most_forward =
      kPatience * curvature.slowdown() * std::min(point.exact.steps, static_cast<double>(most_exact));
  std::vector<double> each(quick ? 3 : 5);
  point.forward = tune(curvature.highest_rate() / 2, most_forward, [&](double rate, double most) {
    parallel_for(static_cast<Index>(each.size()), [&](Index run) {
      each[static_cast<std::size_t>(run)] = steps_to_target(
          subject, forward_step(subject, derive_seed(seed, 1 + static_cast<std::uint64_t>(run))), rate, most);
    });
    return each;
  });

  // A rate of 0 costs what any other does and keeps θ where it is.
  const ThreadScope one_thread(1);
  const Step forward = forward_step(subject, seed), exact = exact_step(subject);
  Parameters<float> forward_theta = subject.parameters(), exact_theta = subject.parameters();
  std::uint32_t step = 0;
  const std::function<void()> tasks[] = {[&] { forward(forward_theta, step++, 0); }, [&] { exact(exact_theta, 0, 0); }};
  const auto seconds = interleaved_seconds(tasks, 401, quick ? 0.05 : 0.5, "timing steps");
  point.forward_seconds = median(seconds[0]);
  point.exact_seconds = median(seconds[1]);
  return point;
}

// The n from which ratios stay at 1 or above, on a line in log n and log ratio between the sizes around it. Below the
// least size tested nothing is known but n ≥ 1; if the last ratio is below 1, the answer is that size.
struct Crossing {
  double value, low, high;
};

Crossing crossing(const std::vector<double>& sizes, const std::vector<double>& ratios) {
  std::size_t first = sizes.size();
  while (first > 0 && ratios[first - 1] >= 1) --first;
  if (first == 0) return {sizes.front(), 1, sizes.front()};
  if (first == sizes.size()) return {sizes.back(), sizes.back(), sizes.back()};
  const double share = std::log(ratios[first - 1]) / std::log(ratios[first - 1] / ratios[first]);
  return {sizes[first - 1] * std::pow(sizes[first] / sizes[first - 1], share), sizes[first - 1], sizes[first]};
}

ClaimResult run(StudyContext& context) {
  std::vector<Point> points;
  for (const Index hidden :
       context.options().quick ? std::vector<Index>{8, 16, 32} : std::vector<Index>{4, 16, 64, 256}) {
    const Point point = measure(context, hidden);
    if (point.reached()) points.push_back(point);
  }
  if (points.size() < 2) {
    throw NumericError(
        fmt::format("crossover: {} networks came to {} of their initial loss with both methods, expected 2 or more",
                    points.size(), kTarget));
  }

  Series series{.name = "time to half the initial loss",
                .columns = {"n", "steps, forward", "steps, exact", "measured slowdown", "predicted slowdown",
                            "forward step (ms)", "exact step (ms)", "wall-time ratio", "predicted wall-time ratio",
                            "rate, forward", "rate, exact", "tr H", "curvature along the gradient"}};
  std::vector<double> sizes, measured, predicted, log_size, log_ratio;
  for (const Point& point : points) {
    sizes.push_back(point.size);
    measured.push_back(point.slowdown() * point.time_ratio());
    predicted.push_back(point.curvature.slowdown() * point.time_ratio());
    log_size.push_back(std::log(point.size));
    log_ratio.push_back(std::log(measured.back()));
    series.rows.push_back({point.size, point.forward.steps, point.exact.steps, point.slowdown(),
                           point.curvature.slowdown(), 1e3 * point.forward_seconds, 1e3 * point.exact_seconds,
                           measured.back(), predicted.back(), point.forward.rate, point.exact.rate,
                           point.curvature.trace, point.curvature.along_gradient});
  }

  const Crossing found = crossing(sizes, measured);
  const double growth = fit_line(log_size, log_ratio).slope;
  // Of the seeds at the largest size; one that never came to the target counts as a win of backprop.
  const Point& largest = points.back();
  const auto wins = std::count_if(largest.forward.each.begin(), largest.forward.each.end(),
                                  [&](double steps) { return steps / largest.exact.steps * largest.time_ratio() > 1; });
  ClaimResult result{.predicted = crossing(sizes, predicted).value,
                     .measured = found.value,
                     .low = found.low,
                     .high = found.high,
                     .quantity = "n from which backprop wins in wall time"};
  const auto seeds = static_cast<std::ptrdiff_t>(largest.forward.each.size());
  result.verdict = wins == seeds ? Verdict::kHolds : wins > 0 ? Verdict::kDiffers : Verdict::kFails;

  const std::string where =
      found.low < sizes.front() ? "backprop wins at every size tested"
      : found.low < found.high
          ? fmt::format("backprop wins from a size between {:.0f} and {:.0f} on", found.low, found.high)
          : "forward gradients win at the largest size tested";
  result.condition = fmt::format(
      "{}, for {} of {} seeds at the largest; the ratio of wall times is {:.1f} at n = {:.0f} and {:.1f} at n = "
      "{:.0f}, "
      "where a forward step takes {:.2f} of the time of an exact one and {:.0f} times as many are needed; over the "
      "sizes "
      "the ratio goes as n^{:.2f}",
      where, wins, seeds, measured.front(), sizes.front(), measured.back(), sizes.back(), largest.time_ratio(),
      largest.slowdown(), growth);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim crossover_claim() {
  return {.id = "crossover",
          .statement = "From some number of parameters on, backprop reaches the same loss sooner",
          .timed = true,
          .weight = 3,
          .run = run};
}

}  // namespace slopewise
