#include "apps/bench/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/statistics/timing.hpp"

namespace slopewise {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kVisitSeconds = 0.02;
constexpr Index kMostRuns = 2000;
constexpr char kDoing[] = "measuring";

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Visit visit_of(std::function<void()> step) {
  return [step = std::move(step)](Index count) {
    std::vector<double> seconds;
    step();
    for (Index run = 0; run < count; ++run) {
      const Clock::time_point start = Clock::now();
      step();
      seconds.push_back(seconds_since(start));
    }
    return seconds;
  };
}

std::vector<Timing> measure_in_turn(std::span<const Visit> visits, const Rounds& rounds,
                                    const std::function<void(double share)>& advance) {
  std::vector<Index> runs;
  for (const Visit& visit : visits) {
    check_interrupted(kDoing);
    const double once = median(visit(3));
    runs.push_back(static_cast<Index>(std::clamp(std::ceil(kVisitSeconds / once), 1.0, double{kMostRuns})));
  }

  const Clock::time_point start = Clock::now();
  std::vector<std::vector<double>> seconds(visits.size());
  double told = 0;
  for (Index round = 0; round < rounds.most; ++round) {
    if (round >= rounds.least && seconds_since(start) >= rounds.seconds) break;
    for (std::size_t i = 0; i < visits.size(); ++i) {
      check_interrupted(kDoing);
      const std::size_t turn = (static_cast<std::size_t>(round) + i) % visits.size();
      seconds[turn].push_back(median(visits[turn](runs[turn])));
    }
    // The sooner of the two ends: so many rounds, or so much time with the least rounds done.
    const auto finished = static_cast<double>(round + 1);
    const double share =
        std::max(finished / static_cast<double>(rounds.most),
                 std::min({1.0, finished / static_cast<double>(rounds.least), seconds_since(start) / rounds.seconds}));
    advance(share - told);
    told = share;
  }
  advance(1 - told);

  std::vector<Timing> timings;
  for (const std::vector<double>& values : seconds) {
    const Interval interval = median_interval(values, kTimingConfidence);
    timings.push_back({.median = median(values), .low = interval.low, .high = interval.high});
  }
  return timings;
}

}  // namespace slopewise
