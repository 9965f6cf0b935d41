// Wall time to the same loss: steps with one forward gradient against steps with the exact one, from the same weights,
// each at its best learning rate. With r steps of the one for one of the other, forward gradients win only while
// r t_forward < t_exact, and r is at least 3 (Curvature::slowdown). The same beside it with the best remedy at hand.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/statistics/fit.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/study/curvature.hpp"
#include "slopewise/study/descent.hpp"
#include "slopewise/study/timing.hpp"

namespace slopewise {
namespace {

// A run may take this many times the steps predicted for it.
constexpr double kPatience = 8;

struct Point {
  double size;  // n
  Curvature curvature;
  TunedDescent forward, remedied, exact;
  double forward_seconds, remedied_seconds, exact_seconds;  // of a step

  double slowdown() const { return forward.steps / exact.steps; }
  double time_ratio() const { return forward_seconds / exact_seconds; }
  double remedied_wall_ratio() const { return remedied.steps * remedied_seconds / (exact.steps * exact_seconds); }
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
    point.exact = tune_descent(subject, curvature.highest_exact_rate() / 2, static_cast<double>(most_exact), 1,
                               [&](Index) { return exact_descent(subject); });
  }
  const double most_forward =
      kPatience * curvature.slowdown() * std::min(point.exact.steps, static_cast<double>(most_exact));
  const auto tuned = [&](double start, std::uint64_t stream, DescentStep (*descent)(const Subject&, std::uint64_t)) {
    return tune_descent(subject, start, most_forward, quick ? 3 : 5, [&](Index run) {
      return descent(subject, derive_seed(seed, stream + static_cast<std::uint64_t>(run)));
    });
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
                .columns = {"n", "steps, forward", "steps, exact", "measured slowdown", "predicted slowdown",
                            "forward step (ms)", "exact step (ms)", "wall-time ratio", "predicted wall-time ratio",
                            "rate, forward", "rate, exact", "tr H", "curvature along the gradient"}};
  Series remedied{
      .name = "with a learned prior", .columns = {"n", "steps", "step (ms)", "wall-time ratio", "rate"}, .rows = {}};
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
    if (std::isfinite(point.remedied.steps))
      remedied.rows.push_back({point.size, point.remedied.steps, 1e3 * point.remedied_seconds,
                               point.remedied_wall_ratio(), point.remedied.rate});
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
  return {.id = "crossover",
          .statement = "From some number of parameters on, backprop reaches the same loss sooner",
          .timed = true,
          .weight = 3,
          .run = measure_crossover};
}

}  // namespace slopewise
