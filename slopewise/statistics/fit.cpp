#include "slopewise/statistics/fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/distributions.hpp"

namespace slopewise {
namespace {

// Up to here the exact law takes a few milliseconds and its matrices do not overflow.
constexpr std::size_t kExactSize = 500;

std::vector<double> sorted(const char* argument, std::span<const double> sample) {
  if (sample.empty()) {
    throw ArgumentError(fmt::format("kolmogorov_smirnov_test: {}: expected at least 1 value, found none", argument));
  }
  if (std::ranges::any_of(sample, [](double x) { return std::isnan(x); })) {
    throw NumericError(fmt::format("kolmogorov_smirnov_test: {}: expected numbers, found NaN", argument));
  }
  std::vector<double> result(sample.begin(), sample.end());
  std::ranges::sort(result);
  return result;
}

// P(K ≥ x) for Kolmogorov's limit law: 2 Σ (−1)^(k−1) exp(−2k²x²), or for small x, where that converges slowly, the
// other side of Jacobi's identity: 1 − √(2π)/x Σ exp(−(2k−1)²π²/(8x²)).
double kolmogorov_tail(double x) {
  if (x <= 0) return 1;
  double sum = 0;
  if (x < 1) {
    for (int k = 1; k <= 5; ++k) {
      const double odd = (2 * k - 1) * std::numbers::pi / x;
      sum += std::exp(-odd * odd / 8);
    }
    return 1 - std::sqrt(2 * std::numbers::pi) / x * sum;
  }
  for (int k = 1; k <= 5; ++k) sum += (k % 2 == 1 ? 2 : -2) * std::exp(-2.0 * k * k * x * x);
  return sum;
}

// The limit law at an argument corrected for finite n: Vrbik, "Small-sample corrections to Kolmogorov–Smirnov test
// statistic", Pioneer J. Theor. Appl. Statist. 15 (2018).
double corrected_limit_p_value(double n, double d) {
  const double x = std::sqrt(n) * d;
  return kolmogorov_tail(x + 1 / (6 * std::sqrt(n)) + (x - 1) / (4 * n));
}

// P(Dₙ⁺ ≥ d), one-sided: Birnbaum and Tingey (1951), d Σⱼ C(n,j) (d + j/n)^(j−1) (1 − d − j/n)^(n−j) over j ≤ n(1 − d).
// All terms are positive.
double one_sided_p_value(std::size_t size, double d) {
  const double n = static_cast<double>(size);
  double sum = 0;
  for (double j = 0; j < n * (1 - d); ++j) {
    const double log_choose = std::lgamma(n + 1) - std::lgamma(j + 1) - std::lgamma(n - j + 1);
    sum += std::exp(log_choose + (j - 1) * std::log(d + j / n) + (n - j) * std::log1p(-d - j / n));
  }
  return d * sum;
}

class SquareMatrix {
 public:
  explicit SquareMatrix(std::size_t size) : size_(size), entries_(size * size) {}
  double& at(std::size_t i, std::size_t j) { return entries_[i * size_ + j]; }
  double at(std::size_t i, std::size_t j) const { return entries_[i * size_ + j]; }
  friend SquareMatrix operator*(const SquareMatrix& a, const SquareMatrix& b) {
    SquareMatrix c(a.size_);
    for (std::size_t i = 0; i < a.size_; ++i) {
      for (std::size_t k = 0; k < a.size_; ++k) {
        for (std::size_t j = 0; j < a.size_; ++j) c.at(i, j) += a.at(i, k) * b.at(k, j);
      }
    }
    return c;
  }

 private:
  std::size_t size_;
  std::vector<double> entries_;
};

// P(Dₙ < d), exactly: Marsaglia, Tsang, Wang, "Evaluating Kolmogorov's distribution", J. Stat. Software 8 (2003). With
// d = (k − h)/n it is n!/nⁿ times the middle entry of the n-th power of a (2k − 1) square matrix.
double exact_cdf(std::size_t n, double d) {
  const double scaled = static_cast<double>(n) * d;
  const std::size_t k = static_cast<std::size_t>(scaled) + 1;
  const std::size_t m = 2 * k - 1;
  const double h = static_cast<double>(k) - scaled;
  SquareMatrix base(m);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < std::min(i + 2, m); ++j) base.at(i, j) = 1;
  }
  for (std::size_t i = 0; i < m; ++i) {
    base.at(i, 0) -= std::pow(h, static_cast<double>(i + 1));
    base.at(m - 1, i) -= std::pow(h, static_cast<double>(m - i));
  }
  if (2 * h > 1) base.at(m - 1, 0) += std::pow(2 * h - 1, static_cast<double>(m));
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < std::min(i + 2, m); ++j) {
      base.at(i, j) /= std::tgamma(static_cast<double>(i + 2 - j));
    }
  }
  // Entries grow like eⁿ at most: below 1e223 for n ≤ 512, so nothing has to be scaled.
  SquareMatrix power = base;  // base^n, with the bits of n from the second highest down
  for (std::size_t bit = std::bit_floor(n) / 2; bit > 0; bit /= 2) {
    power = power * power;
    if (n & bit) power = power * base;
  }
  const double size = static_cast<double>(n);
  return std::exp(std::log(power.at(k - 1, k - 1)) + std::lgamma(size + 1) - size * std::log(size));
}

}  // namespace

double kolmogorov_smirnov_p_value(std::size_t n, double d) {
  if (n < 1 || !(d >= 0)) {
    throw ArgumentError(fmt::format("kolmogorov_smirnov_p_value: expected n >= 1 and d >= 0, found {} and {}", n, d));
  }
  const double size = static_cast<double>(n);
  if (d >= 1) return 0;
  if (2 * size * d <= 1) return 1;  // no sample comes closer than 1/(2n)
  // Beyond, both one-sided events together have probability about 2 exp(−8nd²), against 2 exp(−2nd²) for either.
  if (size * d * d >= 3) return std::min(1.0, 2 * one_sided_p_value(n, d));
  if (n <= kExactSize) return std::clamp(1 - exact_cdf(n, d), 0.0, 1.0);
  return corrected_limit_p_value(size, d);
}

FitTest kolmogorov_smirnov_test(std::span<const double> sample, const std::function<double(double)>& cdf) {
  const std::vector<double> values = sorted("sample", sample);
  const double n = static_cast<double>(values.size());
  double distance = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double p = cdf(values[i]);
    if (!(p >= 0 && p <= 1)) {
      throw NumericError(
          fmt::format("kolmogorov_smirnov_test: cdf({}): expected a probability, found {}", values[i], p));
    }
    const double index = static_cast<double>(i);
    distance = std::max({distance, p - index / n, (index + 1) / n - p});
  }
  return {.statistic = distance, .p_value = kolmogorov_smirnov_p_value(values.size(), distance)};
}

FitTest kolmogorov_smirnov_test(std::span<const double> first, std::span<const double> second) {
  const std::vector<double> a = sorted("first", first), b = sorted("second", second);
  const double size_a = static_cast<double>(a.size()), size_b = static_cast<double>(b.size());
  double distance = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const double at = std::min(a[i], b[j]);
    while (i < a.size() && a[i] == at) ++i;
    while (j < b.size() && b[j] == at) ++j;
    distance = std::max(distance, std::abs(static_cast<double>(i) / size_a - static_cast<double>(j) / size_b));
  }
  return {.statistic = distance, .p_value = corrected_limit_p_value(size_a * size_b / (size_a + size_b), distance)};
}

FitTest chi_squared_test(std::span<const double> observed, std::span<const double> expected, int fitted_parameters) {
  if (observed.size() != expected.size()) {
    throw ArgumentError(fmt::format("chi_squared_test: expected as many observed as expected counts, found {} and {}",
                                    observed.size(), expected.size()));
  }
  const double degrees = static_cast<double>(observed.size()) - 1 - fitted_parameters;
  if (degrees < 1 || fitted_parameters < 0) {
    throw ArgumentError(
        fmt::format("chi_squared_test: expected at least 1 degree of freedom, found {} bins with {} fitted "
                    "parameters",
                    observed.size(), fitted_parameters));
  }
  const double observed_sum = std::accumulate(observed.begin(), observed.end(), 0.0);
  const double expected_sum = std::accumulate(expected.begin(), expected.end(), 0.0);
  if (!(std::abs(observed_sum - expected_sum) <= 1e-6 * expected_sum)) {
    throw ArgumentError(fmt::format("chi_squared_test: expected equal sums, found {} observed and {} expected",
                                    observed_sum, expected_sum));
  }
  double statistic = 0;
  for (std::size_t i = 0; i < observed.size(); ++i) {
    if (!(expected[i] > 0)) {
      throw ArgumentError(
          fmt::format("chi_squared_test: expected[{}]: expected a positive count, found {}", i, expected[i]));
    }
    const double difference = observed[i] - expected[i];
    statistic += difference * difference / expected[i];
  }
  return {.statistic = statistic, .p_value = boost::math::gamma_q(0.5 * degrees, 0.5 * statistic)};
}

Interval LineFit::intercept_interval(double confidence) const {
  return student_t_interval(intercept, intercept_error, degrees, confidence);
}

Interval LineFit::slope_interval(double confidence) const {
  return student_t_interval(slope, slope_error, degrees, confidence);
}

LineFit fit_line(std::span<const double> x, std::span<const double> y, std::span<const double> weights) {
  if (y.size() != x.size() || (!weights.empty() && weights.size() != x.size()) || x.size() < 3) {
    throw ArgumentError(
        fmt::format("fit_line: expected at least 3 points, as many x, y and weights (or no weights), found "
                    "{}, {} and {}",
                    x.size(), y.size(), weights.size()));
  }
  const auto weight = [&](std::size_t i) { return weights.empty() ? 1.0 : weights[i]; };
  double total = 0, mean_x = 0, mean_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]) || !std::isfinite(y[i])) {
      throw NumericError(fmt::format("fit_line: point {}: expected finite numbers, found ({}, {})", i, x[i], y[i]));
    }
    if (!(weight(i) > 0 && std::isfinite(weight(i)))) {
      throw ArgumentError(fmt::format("fit_line: weights[{}]: expected a positive number, found {}", i, weight(i)));
    }
    total += weight(i);
    mean_x += weight(i) * (x[i] - mean_x) / total;
    mean_y += weight(i) * (y[i] - mean_y) / total;
  }
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += weight(i) * (x[i] - mean_x) * (x[i] - mean_x);
    xy += weight(i) * (x[i] - mean_x) * (y[i] - mean_y);
  }
  if (!(xx > 0))
    throw ArgumentError(fmt::format("fit_line: x: expected at least two different values, found {}", x[0]));
  const double slope = xy / xx;
  double residuals = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double residual = y[i] - mean_y - slope * (x[i] - mean_x);
    residuals += weight(i) * residual * residual;
  }
  const double degrees = static_cast<double>(x.size()) - 2;
  const double scatter = std::sqrt(residuals / degrees);
  return {.intercept = mean_y - slope * mean_x,
          .slope = slope,
          .intercept_error = scatter * std::sqrt(1 / total + mean_x * mean_x / xx),
          .slope_error = scatter / std::sqrt(xx),
          .scatter = scatter,
          .degrees = degrees};
}

}  // namespace slopewise
