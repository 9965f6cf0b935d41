// Wall time to the same loss: steps with one forward gradient against steps with the exact one, from the same weights,
// each at its best learning rate. With r steps of the one for one of the other, forward gradients win only while
// r t_forward < t_exact, and r is at least 3 (Curvature::slowdown). The same beside it with the best remedy at hand.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "slopewise/statistics/timing.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/study/descent.hpp"

namespace slopewise {
namespace {

// A run may take this many times the steps predicted for it.
constexpr double kPatience = 8;
// Runs that choose a rate, and runs at the chosen one.
constexpr Index kChoosingRuns = 3, kCrossoverRuns = 9;

struct Point {
  double size;  // n
  Curvature curvature;
  TunedDescent forward, remedied, exact;
  double forward_seconds, remedied_seconds, exact_seconds;  // of a step
  Ratio forward_time, remedied_time;                        // of a step over an exact one, in seconds

  double slowdown() const { return steps_ratio(forward, exact.steps, kObservedConfidence).value; }
  // Of the whole way: steps and seconds, each at its share of the confidence.
  Ratio wall_ratio(const TunedDescent& tuned, const Ratio& time) const {
    const Ratio steps = steps_ratio(tuned, exact.steps, share_of_confidence(2, kObservedConfidence));
    return {.value = steps.value * time.value,
            .interval = {steps.interval.low * time.interval.low, steps.interval.high * time.interval.high}};
  }
  Ratio forward_wall_ratio() const { return wall_ratio(forward, forward_time); }
  Ratio remedied_wall_ratio() const { return wall_ratio(remedied, remedied_time); }
  bool reached() const { return std::isfinite(forward.steps) && std::isfinite(exact.steps); }
};

Point measure(StudyContext& context, Index hidden) {
  const bool quick = context.options().quick;
  const Subject subject = context.perceptron(std::span(&hidden, 1));
  const std::uint64_t seed = context.seed(fmt::format("crossover, {} units", hidden));
  Point point{.size = static_cast<double>(subject.size()),
              .curvature = subject.curvature(quick ? 128 : 512, derive_seed(seed, 0))};
  const Curvature& curvature = point.curvature;

  // Each run has one thread: for networks this small a step is too short to share.
  const Index most_exact = quick ? 500 : 2000;
  {
    const ThreadScope one_thread(1);
    point.exact = tune_descent(subject, curvature.highest_exact_rate() / 2, static_cast<double>(most_exact), 1,
                               [&](Index) { return exact_descent(subject); });
  }
  const double most_forward =
      kPatience * curvature.slowdown() * std::min(point.exact.steps, static_cast<double>(most_exact));
  const auto tuned = [&](double start, std::uint64_t stream, DescentStep (*descent)(const Subject&, std::uint64_t)) {
    const auto run_from = [&, stream, descent](Index first) {
      return [&, stream, descent, first](Index run) {
        return descent(subject, derive_seed(seed, stream + static_cast<std::uint64_t>(first + run)));
      };
    };
    const TunedDescent chosen = tune_descent(subject, start, most_forward, kChoosingRuns, run_from(0));
    return std::isfinite(chosen.steps) ? repeat_descent(subject, chosen, kCrossoverRuns, run_from(kChoosingRuns))
                                       : chosen;
  };
  point.forward = tuned(curvature.highest_rate() / 2, 1, forward_descent);
  point.remedied = tuned(curvature.highest_exact_rate() / 2, 100, learned_prior_descent);

  // A rate of 0 costs what any other does and keeps θ where it is.
  const ThreadScope one_thread(1);
  const DescentStep steps[] = {forward_descent(subject, seed), learned_prior_descent(subject, seed),
                               exact_descent(subject)};
  std::vector<Parameters<float>> thetas(std::size(steps), subject.parameters());
  std::vector<std::function<void()>> tasks;
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < std::size(steps); ++i) tasks.push_back([&, i] { steps[i](thetas[i], number++, 0); });
  const auto seconds = interleaved_seconds(tasks, 401, quick ? 0.05 : 0.5, "timing steps");
  point.forward_seconds = median(seconds[0]);
  point.remedied_seconds = median(seconds[1]);
  point.exact_seconds = median(seconds[2]);
  const double confidence = share_of_confidence(2, kObservedConfidence);
  point.forward_time = seconds_ratio(seconds[0], seconds[2], confidence);
  point.remedied_time = seconds_ratio(seconds[1], seconds[2], confidence);
  return point;
}

// From which size on the ratios stay above 1, in words.
std::string winning_sizes(const std::vector<double>& sizes, const std::vector<double>& ratios) {
  std::size_t first = sizes.size();
  while (first > 0 && ratios[first - 1] > 1) --first;
  if (first == 0) return "backprop wins at every size tested";
  if (first == sizes.size()) return "forward gradients win at the largest size tested";
  return fmt::format("backprop wins from a size between {:.0f} and {:.0f} on", sizes[first - 1], sizes[first]);
}

ClaimResult measure_crossover(StudyContext& context) {
  std::vector<Point> points;
  for (const Index hidden :
       context.options().quick ? std::vector<Index>{8, 16, 32} : std::vector<Index>{4, 16, 64, 256}) {
    const Point point = measure(context, hidden);
    if (point.reached()) points.push_back(point);
  }
  if (points.size() < 2) {
    throw NumericError(
        fmt::format("crossover: {} networks came to half of their initial loss with both methods, expected 2 or more",
                    points.size()));
  }

  Series series{.name = "time to half the initial loss",
                .columns = {"n", "steps, forward", "steps, exact", "slowdown", "(tr H + 2 lambda)/lambda",
                            "forward step (ms)", "exact step (ms)", "wall-time ratio", "rate, forward", "rate, exact",
                            "tr H", "curvature along the gradient"}};
  Series remedied{
      .name = "with a learned prior", .columns = {"n", "steps", "step (ms)", "wall-time ratio", "rate"}, .rows = {}};
  std::vector<double> sizes, measured;
  for (const Point& point : points) {
    sizes.push_back(point.size);
    measured.push_back(point.forward_wall_ratio().value);
    series.rows.push_back({point.size, point.forward.steps, point.exact.steps, point.slowdown(),
                           point.curvature.slowdown(), 1e3 * point.forward_seconds, 1e3 * point.exact_seconds,
                           measured.back(), point.forward.rate, point.exact.rate, point.curvature.trace,
                           point.curvature.along_gradient});
    if (std::isfinite(point.remedied.steps))
      remedied.rows.push_back({point.size, point.remedied.steps, 1e3 * point.remedied_seconds,
                               point.remedied_wall_ratio().value, point.remedied.rate});
  }

  const double growth = std::log(measured.back() / measured.front()) / std::log(sizes.back() / sizes.front());
  const Point& largest = points.back();
  const Ratio found = largest.forward_wall_ratio();
  ClaimResult result =
      judge_range(fmt::format("wall time to half the loss / that of backprop, n = {:.0f}", largest.size),
                  {1, std::numeric_limits<double>::infinity()}, found.value, found.interval);
  result.condition = fmt::format(
      "{}; the ratio of wall times is {:.1f} at n = {:.0f} and {:.1f} at n = {:.0f}, where a forward step takes {:.2f} "
      "of the time of an exact one and {:.0f} times as many are needed; over the sizes the ratio goes as n^{:.2f}",
      winning_sizes(sizes, measured), measured.front(), sizes.front(), measured.back(), sizes.back(),
      largest.forward_time.value, largest.slowdown(), growth);
  if (!remedied.rows.empty()) {
    const std::vector<double>&first = remedied.rows.front(), &last = remedied.rows.back();
    result.condition += fmt::format(
        "; with activity perturbation and a learned prior it is {:.1f} at n = {:.0f} and {:.1f} at n = {:.0f}",
        first[3], first[0], last[3], last[0]);
  }
  result.series.push_back(std::move(series));
  result.series.push_back(std::move(remedied));
  return result;
}

}  // namespace

Claim crossover_claim() {
  return {.name = "crossover",
          .statement = "From some number of parameters on, backprop reaches the same loss sooner",
          .timed = true,
          .weight = 3,
          .refusal = on_perceptrons("it trains networks of several sizes"),
          .run = measure_crossover};
}

}  // namespace slopewise
