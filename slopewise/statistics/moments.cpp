#include "slopewise/statistics/moments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"

namespace slopewise {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Entries that one piece of parallel work takes: enough to outweigh its start, few enough for its arrays to stay in L2.
constexpr std::size_t kBlock = 16384;

// Where the moments of many entries lie; those above the order in use are not touched.
struct Arrays {
  double* mean;
  double* m2;
  double* m3;
  double* m4;
};

// Pébay 2008, eq. 2.1 and 3.1 for p = 2, 3, 4: the sums of n₁ + n₂ values from those of its parts a, into which they
// go, and b; δ = mean_b − mean_a.
template <int kOrder>
void merge_entry(double n1, double n2, const Arrays& a, const CentralMoments& b, std::size_t i) {
  const double n = n1 + n2;
  const double delta = b.mean - a.mean[i];
  const double step = delta / n;
  const double product = delta * step * n1 * n2;
  if constexpr (kOrder >= 4) {
    a.m4[i] += b.m4 + product * step * step * (n1 * n1 - n1 * n2 + n2 * n2) +
               6 * step * step * (n1 * n1 * b.m2 + n2 * n2 * a.m2[i]) + 4 * step * (n1 * b.m3 - n2 * a.m3[i]);
  }
  if constexpr (kOrder >= 3) a.m3[i] += b.m3 + product * step * (n1 - n2) + 3 * step * (n1 * b.m2 - n2 * a.m2[i]);
  a.m2[i] += b.m2 + product;
  a.mean[i] += step * n2;
}

// The same for b one value, which has no deviations. `n` counts the value.
template <int kOrder>
void add_value(double n, double value, const Arrays& a, std::size_t i) {
  const double delta = value - a.mean[i];
  const double step = delta * (1 / n);  // the reciprocal leaves the loop over entries
  const double product = delta * step * (n - 1);
  if constexpr (kOrder >= 4) {
    a.m4[i] += product * step * step * (n * n - 3 * n + 3) + 6 * step * step * a.m2[i] - 4 * step * a.m3[i];
  }
  if constexpr (kOrder >= 3) a.m3[i] += product * step * (n - 2) - 3 * step * a.m2[i];
  a.m2[i] += product;
  a.mean[i] += step;
}

Arrays arrays_of(CentralMoments& moments) {
  return {&moments.mean, &moments.m2, &moments.m3, &moments.m4};
}

// Calls body(first, last) for blocks of [0, size), on all threads.
template <class Body>
void for_blocks(std::size_t size, const Body& body) {
  parallel_for(static_cast<std::int64_t>((size + kBlock - 1) / kBlock), [&](std::int64_t block) {
    const std::size_t first = static_cast<std::size_t>(block) * kBlock;
    body(first, std::min(first + kBlock, size));
  });
}

// Calls call.operator()<order>(), so that loops over entries hold no branch on the order.
template <class Call>
void with_order(int order, const Call& call) {
  if (order == 2) return call.template operator()<2>();
  if (order == 3) return call.template operator()<3>();
  call.template operator()<4>();
}

}  // namespace

double CentralMoments::variance() const {
  return count < 2 ? kNaN : m2 / static_cast<double>(count - 1);
}

double CentralMoments::standard_deviation() const {
  return std::sqrt(variance());
}

double CentralMoments::skewness() const {
  return m2 > 0 ? std::sqrt(static_cast<double>(count)) * m3 / (m2 * std::sqrt(m2)) : kNaN;
}

double CentralMoments::kurtosis() const {
  return m2 > 0 ? static_cast<double>(count) * m4 / (m2 * m2) : kNaN;
}

double CentralMoments::mean_error() const {
  return std::sqrt(variance() / static_cast<double>(count));
}

double CentralMoments::variance_error() const {
  const double n = static_cast<double>(count);
  // Never negative, since M₄/n ≥ (M₂/n)², but for rounding where the two nearly agree, as for values ±1.
  return std::sqrt(std::max(m4 / n - variance() * variance() * (n - 3) / (n - 1), 0.0) / n);
}

void Moments::add(double value) {
  if (!std::isfinite(value))
    throw NumericError(fmt::format("Moments::add: value: expected a finite number, found {}", value));
  if (central_.count == 0) {
    central_ = {.count = 1, .mean = value};
    min_ = max_ = value;
    return;
  }
  ++central_.count;
  add_value<4>(static_cast<double>(central_.count), value, arrays_of(central_), 0);
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

void Moments::add(std::span<const double> values) {
  for (const double value : values) add(value);
}

void Moments::merge(const Moments& other) {
  if (other.count() == 0) return;
  if (count() == 0) {
    *this = other;
    return;
  }
  const CentralMoments from = other.central_;  // a copy: other may be *this
  merge_entry<4>(static_cast<double>(central_.count), static_cast<double>(from.count), arrays_of(central_), from, 0);
  central_.count += from.count;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

MomentsArray::MomentsArray(std::size_t size, int order) : order_(order), mean_(size), m2_(size) {
  if (order < 2 || order > 4) {
    throw ArgumentError(fmt::format("MomentsArray: order: expected 2, 3 or 4, found {}", order));
  }
  if (order >= 3) m3_.resize(size);
  if (order >= 4) m4_.resize(size);
}

void MomentsArray::add(std::span<const float> sample) {
  add_sample(sample);
}
void MomentsArray::add(std::span<const double> sample) {
  add_sample(sample);
}

template <class T>
void MomentsArray::add_sample(std::span<const T> sample) {
  if (sample.size() != size()) {
    throw ArgumentError(fmt::format("MomentsArray::add: sample: expected {} entries, found {}", size(), sample.size()));
  }
  // Unlike a search, this runs in vectors.
  int finite = 1;
  for (const T value : sample) finite &= std::abs(value) <= std::numeric_limits<T>::max();
  if (!finite) {
    const auto bad = std::ranges::find_if_not(sample, [](T value) { return std::isfinite(value); });
    throw NumericError(fmt::format("MomentsArray::add: sample entry {}: expected a finite number, found {}",
                                   bad - sample.begin(), *bad));
  }
  ++count_;
  const double n = static_cast<double>(count_);
  with_order(order_, [&]<int kOrder>() {
    for_blocks(size(), [&](std::size_t first, std::size_t last) {
      const Arrays arrays{mean_.data(), m2_.data(), m3_.data(), m4_.data()};
#pragma omp simd
      for (std::size_t i = first; i < last; ++i) add_value<kOrder>(n, static_cast<double>(sample[i]), arrays, i);
    });
  });
}

void MomentsArray::merge(const MomentsArray& other) {
  if (other.size() != size() || other.order_ != order_) {
    throw ArgumentError(fmt::format("MomentsArray::merge: other: expected {} entries of order {}, found {} of order {}",
                                    size(), order_, other.size(), other.order_));
  }
  if (other.count_ == 0) return;
  const double n1 = static_cast<double>(count_), n2 = static_cast<double>(other.count_);
  with_order(order_, [&]<int kOrder>() {
    for_blocks(size(), [&](std::size_t first, std::size_t last) {
      const Arrays arrays{mean_.data(), m2_.data(), m3_.data(), m4_.data()};
      for (std::size_t i = first; i < last; ++i) {
        const CentralMoments from{.count = other.count_,
                                  .mean = other.mean_[i],
                                  .m2 = other.m2_[i],
                                  .m3 = kOrder >= 3 ? other.m3_[i] : 0,
                                  .m4 = kOrder >= 4 ? other.m4_[i] : 0};
        merge_entry<kOrder>(n1, n2, arrays, from, i);
      }
    });
  });
  count_ += other.count_;
}

CentralMoments MomentsArray::entry(std::size_t i) const {
  return {.count = count_,
          .mean = count_ > 0 ? mean_[i] : kNaN,
          .m2 = m2_[i],
          .m3 = order_ >= 3 ? m3_[i] : kNaN,
          .m4 = order_ >= 4 ? m4_[i] : kNaN};
}

double MomentsArray::total_variance() const {
  if (count_ < 2) return kNaN;
  return std::accumulate(m2_.begin(), m2_.end(), 0.0) / static_cast<double>(count_ - 1);
}

}  // namespace slopewise
