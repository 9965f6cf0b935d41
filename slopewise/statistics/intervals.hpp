// Confidence intervals. `confidence` is the two-sided coverage, for example 0.999; one outside (0, 1) throws
// ArgumentError.
#pragma once

#include <cstdint>

#include "slopewise/statistics/moments.hpp"

namespace slopewise {

struct Interval {
  double low;
  double high;

  bool contains(double value) const { return low <= value && value <= high; }
};

// estimate ± z · standard_error: an estimate that is nearly normal. Throws ArgumentError if an argument is not finite
// or the error negative.
Interval normal_interval(double estimate, double standard_error, double confidence);

// estimate ± t · standard_error, the error itself estimated with `degrees` > 0 degrees of freedom; exact for a normal
// estimate. Throws as above.
Interval student_t_interval(double estimate, double standard_error, double degrees, double confidence);

// The mean of the sample's law, by Student's t; exact for a normal law. Throws ArgumentError for fewer than 2 values.
Interval mean_interval(const CentralMoments& sample, double confidence);

// The variance of the sample's law, whatever the law, from the sample's fourth moment; nearly exact once n is large
// against the kurtosis. Throws ArgumentError for fewer than 4 values or without the fourth moment.
Interval variance_interval(const CentralMoments& sample, double confidence);

// σ² from sum_of_squares ~ σ² χ²(degrees); exact. From K slopes of Gaussian tangents, Σ s² and K give ‖∇‖². Throws
// ArgumentError unless sum_of_squares ≥ 0 and degrees > 0.
Interval scale_interval(double sum_of_squares, double degrees, double confidence);

// A probability from `successes` of `trials`: Wilson, "Probable inference…", JASA 22 (1927). Throws ArgumentError
// unless 0 ≤ successes ≤ trials and trials ≥ 1.
Interval proportion_interval(std::int64_t successes, std::int64_t trials, double confidence);

// The ratio of two laws' means by the delta method: r = a/b, var r ≈ (var a − 2 r cov(a, b) + r² var b) / b², for means
// a, b and the covariance of the two means (0 for independent samples). It asks for a denominator that is far from 0:
// throws ArgumentError if its own interval of this confidence contains 0, or for fewer than 2 values.
Interval ratio_interval(const CentralMoments& numerator, const CentralMoments& denominator, double confidence,
                        double covariance_of_means = 0);

}  // namespace slopewise
