// Seconds, measured so that a drifting clock or a busy neighbour hits everything compared alike.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/statistics/intervals.hpp"

namespace slopewise {

// The least number of rounds: enough for a median_interval of confidence 0.999 that is not the whole range.
inline constexpr Index kLeastRounds = 31;

// Seconds of each task in each round, (tasks, rounds). The tasks run in turn, round by round, after one round that is
// not timed: `rounds` times, or kLeastRounds or more if that takes longer than `budget` seconds. Throws Interrupted,
// with `doing`, between rounds, and what a task throws.
std::vector<std::vector<double>> interleaved_seconds(std::span<const std::function<void()>> tasks, Index rounds,
                                                     double budget, const char* doing);

// A ratio with its interval.
struct Ratio {
  double value;
  Interval interval;
};

// Of the times of two tasks, less `subtract`: the median over rounds, each compared within itself.
Ratio seconds_ratio(std::span<const double> seconds, std::span<const double> over, double confidence,
                    double subtract = 0);

// The middle value, or the mean of the two middle ones. Throws ArgumentError for no values.
double median(std::vector<double> values);

// The median of the values' law by order statistics, whatever the law: [x₍ₖ₎, x₍ₙ₊₁₋ₖ₎] misses it with probability
// 2 P(Binomial(n, ½) < k), and k is the largest that keeps the confidence. Throws ArgumentError if none does: 0.9999
// takes 15 values.
Interval median_interval(std::vector<double> values, double confidence);

}  // namespace slopewise
