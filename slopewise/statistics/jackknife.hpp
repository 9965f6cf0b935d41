// Error bars for smooth functions of means: ratios, kurtoses, correlations.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/statistics/intervals.hpp"

namespace slopewise {

// A measured number with its standard error.
struct Measured {
  double value = 0;
  double error = 0;
  double degrees = 0;  // of freedom of the error

  // Student-t interval of the given two-sided coverage.
  Interval interval(double confidence) const { return student_t_interval(value, error, degrees, confidence); }
};

// f of the columns' means, where the samples are independent rows: columns[c][i] is quantity c of sample i. The error
// is the jackknife's over `blocks` runs of samples (Efron and Stein 1981), which needs neither f's derivatives nor the
// columns' covariances. Throws ArgumentError unless all columns are of one length of at least `blocks`.
Measured function_of_means(std::span<const std::vector<double>> columns,
                           const std::function<double(std::span<const double>)>& f, Index blocks = 64);

// The mean of one column.
Measured mean_of(const std::vector<double>& column);

}  // namespace slopewise
