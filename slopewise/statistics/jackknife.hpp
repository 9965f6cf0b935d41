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
  double degrees = 0;   // of freedom of the error; infinite where it is known and not measured
  double skewness = 0;  // of the value's law

  // The interval of the given two-sided coverage: Student's t, leaning with the skewness κ. Samples that make the value
  // too small make a measured error too small as well, so (value − truth)/error has the skewness −2κ and the mean −κ/2
  // (Johnson 1978), with a known error κ and 0; its law is taken for Pearson's of type III. Simulated for the mean of N
  // squares of normals, an interval of 99.99 % misses 2 times in 10,000 for N = 400 and once for N = 2000; by Student's
  // t, 7 and 2 times.
  Interval interval(double confidence) const;
};

// f of the columns' means, where the samples are independent rows: columns[c][i] is quantity c of sample i. Error and
// skewness are the jackknife's, which leaves out one sample after the other (Efron and Stein 1981) and needs neither
// f's derivatives nor the columns' covariances. Throws ArgumentError unless all columns are of one length of at
// least 2.
Measured function_of_means(std::span<const std::vector<double>> columns,
                           const std::function<double(std::span<const double>)>& f);

// The mean of one column.
Measured mean_of(const std::vector<double>& column);

// The standard error of f of the means of so many samples, from the means and covariances (row by row) that theory
// gives one sample (delta method).
double error_in_theory(std::span<const double> means, std::span<const double> covariances, double samples,
                       const std::function<double(std::span<const double>)>& f);

// Numbers of mean 0 add up to more than this many roots of the sum of their squares, one way or the other, with at most
// the probability `alarm`: for any symmetric law and any number of them, √(2 ln(2/alarm)) (Efron 1969).
double self_normalized_limit(double alarm);

}  // namespace slopewise
