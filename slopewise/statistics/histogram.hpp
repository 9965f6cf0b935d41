// Counts of values in equal bins.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace slopewise {

// Bin i holds edge(i) ≤ x < edge(i + 1); the last bin holds its upper edge too. What lies outside is counted apart.
class Histogram {
 public:
  // Throws ArgumentError unless low < high, both finite, and bins ≥ 1.
  Histogram(double low, double high, std::size_t bins);

  // Throws NumericError if the value, or one of them, is NaN; infinities lie outside.
  void add(double value);
  void add(std::span<const double> values);
  // Throws ArgumentError unless the bins are the same.
  void merge(const Histogram& other);

  std::size_t bins() const { return counts_.size(); }
  double low() const { return low_; }
  double high() const { return high_; }
  double edge(std::size_t i) const;  // the lower edge of bin i; edge(bins()) is high()
  std::span<const std::int64_t> counts() const { return counts_; }
  std::int64_t underflow() const { return underflow_; }
  std::int64_t overflow() const { return overflow_; }
  std::int64_t total() const;  // with underflow and overflow
  // The estimated density in bin i: its share of the total over its width; NaN while the total is 0.
  double density(std::size_t i) const;

 private:
  double low_;
  double high_;
  std::vector<std::int64_t> counts_;
  std::int64_t underflow_ = 0;
  std::int64_t overflow_ = 0;
};

}  // namespace slopewise
