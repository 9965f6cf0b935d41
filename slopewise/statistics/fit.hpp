// Does a sample follow a law, do two samples follow the same one, and which line goes through points.
#pragma once

#include <functional>
#include <span>

#include "slopewise/statistics/intervals.hpp"

namespace slopewise {

// A test's statistic and the probability, if the null hypothesis holds, of one at least as large.
struct FitTest {
  double statistic;
  double p_value;
};

// Kolmogorov–Smirnov: the sample follows the continuous law of `cdf`; the statistic is the largest distance D of the
// empirical cdf from it. The p-value is exact for n ≤ 500 and, to e^(−6nD²) relative, for nD² ≥ 3; else it errs by less
// than 5e-5. Throws ArgumentError for an empty sample, NumericError for a value that is NaN or a cdf outside [0, 1].
FitTest kolmogorov_smirnov_test(std::span<const double> sample, const std::function<double(double)>& cdf);

// Kolmogorov–Smirnov: both samples follow the same continuous law. The p-value is that of the limit law at
// the effective size nm/(n + m). Throws as above.
FitTest kolmogorov_smirnov_test(std::span<const double> first, std::span<const double> second);

// P(Dₙ ≥ d) for n values under the null hypothesis.
double kolmogorov_smirnov_p_value(std::size_t n, double d);

// Pearson: counts follow the expected ones; the statistic is Σ (observed − expected)²/expected, χ² with
// bins − 1 − fitted_parameters degrees of freedom once every expected count is about 5 or more. Throws ArgumentError if
// sizes differ, sums differ by more than 1e-6 of theirs, an expected count is not positive, or no degree of freedom is
// left.
FitTest chi_squared_test(std::span<const double> observed, std::span<const double> expected, int fitted_parameters = 0);

// y = intercept + slope x by weighted least squares. Standard errors take the scale of the scatter from the residuals.
struct LineFit {
  double intercept;
  double slope;
  double intercept_error;
  double slope_error;
  double scatter;  // standard deviation of a y of weight 1 about the line
  double degrees;  // n − 2

  double operator()(double x) const { return intercept + slope * x; }
  // By Student's t; exact for normal scatter.
  Interval intercept_interval(double confidence) const;
  Interval slope_interval(double confidence) const;
};

// Weights are inverse variances up to a common factor, all 1 if none are given. Throws ArgumentError for sizes that
// differ, fewer than 3 points, weights that are not positive or x all equal; NumericError for values that are not
// finite.
LineFit fit_line(std::span<const double> x, std::span<const double> y, std::span<const double> weights = {});

}  // namespace slopewise
