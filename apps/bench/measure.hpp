// Times of things that are compared, taken in turn, so that a drifting clock or a busy neighbour hits all alike.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// Runs a step once untimed, since another step has been through the caches, then `count` times, and returns the seconds
// of each of these.
using Visit = std::function<std::vector<double>(Index count)>;

// A visit of a step of this process.
Visit visit_of(std::function<void()> step);

// How long to measure.
struct Rounds {
  Index least = 0;     // rounds that are run in any case
  Index most = 0;      // rounds after which it ends
  double seconds = 0;  // between the two, it ends after the round in which these have passed
};

// The least number of rounds that bounds a median: the coverage of [smallest, largest] of n values is 1 − 2¹⁻ⁿ.
inline constexpr Index kLeastBenchRounds = 6;
inline constexpr double kTimingConfidence = 0.95;

// Seconds. `low` and `high` bound the median with kTimingConfidence, whatever the law (median_interval).
struct Timing {
  double median = 0, low = 0, high = 0;
};

// The times of each step. Each round visits all of them, every round beginning with the next one; a visit lasts about
// 20 ms or one run, and gives the round the median of its runs. `advance` is told the share of the work that was done
// since it was last called. Throws Interrupted between visits, and what a visit throws.
std::vector<Timing> measure_in_turn(std::span<const Visit> visits, const Rounds& rounds,
                                    const std::function<void(double share)>& advance);

}  // namespace slopewise
