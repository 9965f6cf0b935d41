#include "slopewise/statistics/histogram.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/base/error.hpp"

namespace slopewise {

Histogram::Histogram(double low, double high, std::size_t bins) : low_(low), high_(high), counts_(bins) {
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high) || bins == 0) {
    throw ArgumentError(fmt::format(
        "Histogram: expected finite low < high and at least 1 bin, found [{}, {}] and {} bins", low, high, bins));
  }
}

double Histogram::edge(std::size_t i) const {
  // A convex combination, so that both ends are exact.
  const double share = static_cast<double>(i) / static_cast<double>(bins());
  return (1 - share) * low_ + share * high_;
}

void Histogram::add(double value) {
  if (std::isnan(value)) throw NumericError("Histogram::add: value: expected a number, found NaN");
  if (value < low_) {
    ++underflow_;
  } else if (value > high_) {
    ++overflow_;
  } else {
    const double share = (value - low_) / (high_ - low_);
    std::size_t bin = std::min(static_cast<std::size_t>(share * static_cast<double>(bins())), bins() - 1);
    // The quotient may round across an edge; the edges decide.
    if (value < edge(bin)) --bin;
    if (bin + 1 < bins() && value >= edge(bin + 1)) ++bin;
    ++counts_[bin];
  }
}

void Histogram::add(std::span<const double> values) {
  for (const double value : values) add(value);
}

void Histogram::merge(const Histogram& other) {
  if (other.low_ != low_ || other.high_ != high_ || other.bins() != bins()) {
    throw ArgumentError(fmt::format("Histogram::merge: other: expected {} bins on [{}, {}], found {} on [{}, {}]",
                                    bins(), low_, high_, other.bins(), other.low_, other.high_));
  }
  for (std::size_t i = 0; i < bins(); ++i) counts_[i] += other.counts_[i];
  underflow_ += other.underflow_;
  overflow_ += other.overflow_;
}

std::int64_t Histogram::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), underflow_ + overflow_);
}

double Histogram::density(std::size_t i) const {
  const double width = (high_ - low_) / static_cast<double>(bins());
  return static_cast<double>(counts_[i]) / (static_cast<double>(total()) * width);
}

}  // namespace slopewise
