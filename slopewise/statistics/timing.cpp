#include "slopewise/statistics/timing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/statistics/distributions.hpp"

namespace slopewise {

std::vector<std::vector<double>> interleaved_seconds(std::span<const std::function<void()>> tasks, Index rounds,
                                                     double budget, const char* doing) {
  using Clock = std::chrono::steady_clock;
  for (const auto& task : tasks) task();
  std::vector<std::vector<double>> seconds(tasks.size());
  double spent = 0;
  for (Index round = 0; round < rounds && (round < kLeastRounds || spent < budget); ++round) {
    check_interrupted(doing);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const Clock::time_point start = Clock::now();
      tasks[i]();
      seconds[i].push_back(std::chrono::duration<double>(Clock::now() - start).count());
      spent += seconds[i].back();
    }
  }
  return seconds;
}

Ratio seconds_ratio(std::span<const double> seconds, std::span<const double> over, double confidence, double subtract) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < seconds.size(); ++i) ratios.push_back(seconds[i] / over[i] - subtract);
  return {.value = median(ratios), .interval = median_interval(ratios, confidence)};
}

double median(std::vector<double> values) {
  if (values.empty()) throw ArgumentError("median: expected at least 1 value, found none");
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Interval median_interval(std::vector<double> values, double confidence) {
  const auto n = static_cast<double>(values.size());
  // P(Binomial(n, ½) ≤ k), as an incomplete beta function.
  const auto at_most = [n](std::size_t k) {
    return beta_cdf(n - static_cast<double>(k), static_cast<double>(k) + 1, 0.5);
  };
  std::size_t k = 0;  // the largest with P(Binomial(n, ½) < k) within the tail
  while (2 * (k + 1) <= values.size() && at_most(k) <= (1 - confidence) / 2) ++k;
  if (k == 0) throw ArgumentError(fmt::format("median: {} values are too few for a confidence of {}", n, confidence));
  std::sort(values.begin(), values.end());
  return {.low = values[k - 1], .high = values[values.size() - k]};
}

}  // namespace slopewise
