#include "slopewise/statistics/jackknife.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/moments.hpp"

namespace slopewise {
namespace {

// The quantile, at a normal's quantile z, of Pearson's law of type III with mean 0, variance 1 and the given skewness;
// Wilson and Hilferty (1931).
double pearson_quantile(double skewness, double z) {
  constexpr double kNormal = 1e-6;
  if (std::abs(skewness) < kNormal) return z;
  const double root = std::max(0.0, 1 + skewness * z / 6 - skewness * skewness / 36);
  return 2 / skewness * (root * root * root - 1);
}

}  // namespace

Interval Measured::interval(double confidence) const {
  const bool known = std::isinf(degrees);
  const double z = normal_interval(0, 1, confidence).high;
  const double heavier = known ? 1 : student_t_interval(0, 1, degrees, confidence).high / z;
  const auto limit = [&](double side) {
    return known ? pearson_quantile(skewness, side * z)
                 : pearson_quantile(-2 * skewness, side * z) * heavier - skewness / 2;
  };
  return {value - limit(1) * error, value - limit(-1) * error};
}

Measured function_of_means(std::span<const std::vector<double>> columns,
                           const std::function<double(std::span<const double>)>& f) {
  const std::size_t count = columns.empty() ? 0 : columns[0].size();
  for (const std::vector<double>& column : columns) {
    if (column.size() != count)
      throw ArgumentError(fmt::format("jackknife: columns of {} and {} samples", count, column.size()));
  }
  if (count < 2) throw ArgumentError(fmt::format("jackknife: expected at least 2 samples, found {}", count));

  const auto n = static_cast<double>(count);
  std::vector<double> totals, means(columns.size());
  for (const std::vector<double>& column : columns)
    totals.push_back(std::accumulate(column.begin(), column.end(), 0.0));
  for (std::size_t c = 0; c < means.size(); ++c) means[c] = totals[c] / n;
  const double value = f(means);
  Moments left_out;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t c = 0; c < means.size(); ++c) means[c] = (totals[c] - columns[c][i]) / (n - 1);
    left_out.add(f(means));
  }
  const double spread = left_out.central().m2;
  // What is left out counts with the opposite sign.
  return {.value = value,
          .error = std::sqrt((n - 1) / n * spread),
          .degrees = n - 1,
          .skewness = spread > 0 ? -left_out.central().m3 / (spread * std::sqrt(spread)) : 0};
}

Measured mean_of(const std::vector<double>& column) {
  Moments moments;
  moments.add(column);
  const auto n = static_cast<double>(column.size());
  const CentralMoments& central = moments.central();
  return {.value = moments.mean(),
          .error = moments.mean_error(),
          .degrees = n - 1,
          .skewness = central.m2 > 0 ? central.skewness() / std::sqrt(n) : 0};
}

double error_in_theory(std::span<const double> means, std::span<const double> covariances, double samples,
                       const std::function<double(std::span<const double>)>& f) {
  constexpr double kStep = 1e-4;  // relative
  std::vector<double> gradient, moved(means.begin(), means.end());
  for (std::size_t c = 0; c < means.size(); ++c) {
    const double step = kStep * std::abs(means[c]);
    moved[c] = means[c] + step;
    const double ahead = f(moved);
    moved[c] = means[c] - step;
    gradient.push_back((ahead - f(moved)) / (2 * step));
    moved[c] = means[c];
  }
  double variance = 0;
  for (std::size_t c = 0; c < means.size(); ++c) {
    for (std::size_t d = 0; d < means.size(); ++d)
      variance += gradient[c] * covariances[c * means.size() + d] * gradient[d];
  }
  return std::sqrt(variance / samples);
}

double self_normalized_limit(double alarm) {
  if (!(alarm > 0 && alarm < 1))
    throw ArgumentError(fmt::format("alarm: expected a number in (0, 1), found {}", alarm));
  return std::sqrt(2 * std::log(2 / alarm));
}

}  // namespace slopewise
