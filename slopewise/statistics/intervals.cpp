#include "slopewise/statistics/intervals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/distributions.hpp"

namespace slopewise {
namespace {

// The probability below the upper end of a two-sided interval.
double upper_probability(const char* function, double confidence) {
  if (!(confidence > 0 && confidence < 1)) {
    throw ArgumentError(fmt::format("{}: confidence: expected a number in (0, 1), found {}", function, confidence));
  }
  return 0.5 + 0.5 * confidence;
}

void require_count(const char* function, const char* argument, const CentralMoments& sample, std::int64_t least) {
  if (sample.count < least) {
    throw ArgumentError(
        fmt::format("{}: {}: expected at least {} values, found {}", function, argument, least, sample.count));
  }
}

Interval around(const char* function, double estimate, double standard_error, double quantile) {
  if (!std::isfinite(estimate) || !std::isfinite(standard_error) || standard_error < 0) {
    throw ArgumentError(fmt::format("{}: expected a finite estimate and a standard error >= 0, found {} and {}",
                                    function, estimate, standard_error));
  }
  return {estimate - quantile * standard_error, estimate + quantile * standard_error};
}

}  // namespace

Interval normal_interval(double estimate, double standard_error, double confidence) {
  const double p = upper_probability("normal_interval", confidence);
  return around("normal_interval", estimate, standard_error, normal_quantile(p));
}

Interval student_t_interval(double estimate, double standard_error, double degrees, double confidence) {
  const double p = upper_probability("student_t_interval", confidence);
  return around("student_t_interval", estimate, standard_error, student_t_quantile(degrees, p));
}

Interval mean_interval(const CentralMoments& sample, double confidence) {
  require_count("mean_interval", "sample", sample, 2);
  return student_t_interval(sample.mean, sample.mean_error(), static_cast<double>(sample.count - 1), confidence);
}

Interval variance_interval(const CentralMoments& sample, double confidence) {
  require_count("variance_interval", "sample", sample, 4);
  if (std::isnan(sample.m4)) {
    throw ArgumentError("variance_interval: sample: expected moments up to order 4, found no fourth");
  }
  const Interval interval = normal_interval(sample.variance(), sample.variance_error(), confidence);
  return {std::max(interval.low, 0.0), interval.high};
}

Interval scale_interval(double sum_of_squares, double degrees, double confidence) {
  const double p = upper_probability("scale_interval", confidence);
  if (!(sum_of_squares >= 0) || std::isinf(sum_of_squares)) {
    throw ArgumentError(
        fmt::format("scale_interval: sum_of_squares: expected a finite number >= 0, found {}", sum_of_squares));
  }
  return {sum_of_squares / chi_squared_quantile(degrees, p), sum_of_squares / chi_squared_quantile(degrees, 1 - p)};
}

Interval proportion_interval(std::int64_t successes, std::int64_t trials, double confidence) {
  const double z = normal_quantile(upper_probability("proportion_interval", confidence));
  if (trials < 1 || successes < 0 || successes > trials) {
    throw ArgumentError(fmt::format(
        "proportion_interval: expected 0 <= successes <= trials, trials >= 1, found {} of {}", successes, trials));
  }
  const double n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n;
  const double shrink = 1 / (1 + z * z / n);
  const double centre = (share + z * z / (2 * n)) * shrink;
  const double half_width = z * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n)) * shrink;
  // At 0 and at n successes the bounds 0 and 1 are exact; rounding would leave them a little inside or outside.
  return {successes == 0 ? 0.0 : centre - half_width, successes == trials ? 1.0 : centre + half_width};
}

Interval ratio_interval(const CentralMoments& numerator, const CentralMoments& denominator, double confidence,
                        double covariance_of_means) {
  const double z = normal_quantile(upper_probability("ratio_interval", confidence));
  require_count("ratio_interval", "numerator", numerator, 2);
  require_count("ratio_interval", "denominator", denominator, 2);
  const double error_a = numerator.mean_error(), error_b = denominator.mean_error();
  if (!(std::abs(denominator.mean) > z * error_b)) {
    throw ArgumentError(fmt::format("ratio_interval: denominator: expected a mean away from 0, found {} with error {}",
                                    denominator.mean, error_b));
  }
  const double ratio = numerator.mean / denominator.mean;
  const double variance = error_a * error_a - 2 * ratio * covariance_of_means + ratio * ratio * error_b * error_b;
  if (!(variance >= 0)) {
    throw ArgumentError(fmt::format(
        "ratio_interval: covariance_of_means: expected at most the product of the errors, {}, in size, found {}",
        error_a * error_b, covariance_of_means));
  }
  return normal_interval(ratio, std::sqrt(variance) / std::abs(denominator.mean), confidence);
}

}  // namespace slopewise
