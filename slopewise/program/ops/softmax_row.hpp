// The softmax of one row with what slopes and second-order terms are made from. Differences from 1 − p are made from
// the other p.
#pragma once

#include <cmath>

#include "slopewise/tensor/vector.hpp"

namespace slopewise {

// log Σ exp x as largest + rest: their sum would lose the rest beside a large x.
template <class T>
struct LogTotal {
  T largest, rest;
  Index at;  // of the largest
};

// Writes softmax(x) to p.
template <class T>
LogTotal<T> softmax_row(const T* x, T* p, Index n) {
  Index at = 0;
  for (Index i = 1; i < n; ++i) at = x[i] > x[at] ? i : at;
  const T largest = x[at];
  T others{0};  // beside the largest, whose term is 1
  for (Index i = 0; i < n; ++i) {
    // The rounding of a large difference would be as large a relative error of its exponential.
    const T gap = x[i] - largest;
    const T taken = gap - x[i];
    const T lost = (x[i] - (gap - taken)) - (largest + taken);
    const T power = std::exp(gap);
    p[i] = power == T{0} ? T{0} : power + power * lost;
    others += i == at ? p[i] - T{1} : p[i];
  }
  for (Index i = 0; i < n; ++i) p[i] /= T{1} + others;
  return {largest, std::log1p(others), at};
}

// h − ⟨p, h⟩: for the entry with the largest p, which may be next to all of it, as Σ p (h[at] − h).
template <class T>
class Centred {
 public:
  Centred(const T* p, const T* h, Index n, Index at) : h_(h), at_(at), mean_(dot(p, h, n)) {
    const T most = h[at];
    rise_ = sum_over<T>(n, [=]<class V>(Index i) { return load<V>(p + i) * (most - load<V>(h + i)); });
  }
  T operator[](Index i) const { return i == at_ ? rise_ : h_[i] - mean_; }

 private:
  const T* h_;
  Index at_;
  T mean_, rise_;
};

// ⟨ṗ, ẋ⟩ = ⟨p, ẋ²⟩ − ⟨p, ẋ⟩², the variance of ẋ under p.
template <class T>
T variance_under(const T* p, const Centred<T>& x_dot, Index n) {
  T total{0};
  for (Index i = 0; i < n; ++i) total += p[i] * x_dot[i] * x_dot[i];
  return total;
}

}  // namespace slopewise
