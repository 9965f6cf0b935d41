// Means and central moments of samples that are seen once and not kept, alone or for many entries at once.
//
// The formulas are those of Pébay, "Formulas for robust, one-pass parallel computation of covariances and
// arbitrary-order statistical moments", SAND2008-6212: sums of powers of the deviations from the running mean, which do
// not cancel as raw powers do. Parts gathered apart may be merged; the result depends on the order of merging only by
// rounding.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace slopewise {

// A sample's size, mean and Mₚ = Σ (x − mean)ᵖ, with what follows from them. What is not defined for the sample (the
// variance of one value, the skewness of equal values, a moment that was not gathered) is NaN.
struct CentralMoments {
  std::int64_t count = 0;
  double mean = std::numeric_limits<double>::quiet_NaN();
  double m2 = 0;
  double m3 = 0;
  double m4 = 0;

  double variance() const;            // unbiased: M₂ / (n − 1)
  double standard_deviation() const;  // √variance
  double skewness() const;            // √n M₃ / M₂^1.5
  double kurtosis() const;            // n M₄ / M₂²: 3 for a Gaussian
  double mean_error() const;          // standard error of the mean: √(variance / n)
  // Standard error of the variance, from the fourth moment: var(s²) = (μ₄ − σ⁴ (n − 3)/(n − 1)) / n for any law, here
  // with μ₄ = M₄/n and σ² = variance.
  double variance_error() const;
};

// The moments up to order 4 and the extremes of a stream of numbers.
class Moments {
 public:
  // Throws NumericError if the value, or one of them, is not finite; what was added before it stays.
  void add(double value);
  void add(std::span<const double> values);
  void merge(const Moments& other);

  std::int64_t count() const { return central_.count; }
  double mean() const { return central_.mean; }
  double variance() const { return central_.variance(); }
  double standard_deviation() const { return central_.standard_deviation(); }
  double skewness() const { return central_.skewness(); }
  double kurtosis() const { return central_.kurtosis(); }
  double mean_error() const { return central_.mean_error(); }
  double variance_error() const { return central_.variance_error(); }
  double min() const { return min_; }  // NaN before the first value
  double max() const { return max_; }
  const CentralMoments& central() const { return central_; }

 private:
  CentralMoments central_;
  double min_ = std::numeric_limits<double>::quiet_NaN();
  double max_ = std::numeric_limits<double>::quiet_NaN();
};

// The moments of every entry of a vector of fixed size, over a stream of such vectors. Sums are doubles, one array a
// power; the bits do not depend on the number of threads.
class MomentsArray {
 public:
  // `order` is the highest power gathered: 2, 3 or 4. Throws ArgumentError for another.
  explicit MomentsArray(std::size_t size, int order = 2);

  // One more sample of the whole vector. Throws ArgumentError unless it has size() entries, NumericError, naming the
  // entry, if one is not finite; nothing is added then.
  void add(std::span<const float> sample);
  void add(std::span<const double> sample);
  // Throws ArgumentError unless the sizes and orders are the same.
  void merge(const MomentsArray& other);

  std::size_t size() const { return mean_.size(); }
  int order() const { return order_; }
  std::int64_t count() const { return count_; }
  std::span<const double> means() const { return mean_; }  // zeros before the first sample
  // The moments of entry i < size(); those above the order are NaN.
  CentralMoments entry(std::size_t i) const;
  // The sum of the entries' variances, the trace of the covariance; NaN for fewer than two samples.
  double total_variance() const;

 private:
  template <class T>
  void add_sample(std::span<const T> sample);

  int order_;
  std::int64_t count_ = 0;
  std::vector<double> mean_;
  std::vector<double> m2_;
  std::vector<double> m3_;  // empty if order_ < 3
  std::vector<double> m4_;  // empty if order_ < 4
};

}  // namespace slopewise
