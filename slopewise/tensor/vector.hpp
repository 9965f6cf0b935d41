// Small loops over contiguous numbers, and the registers they use. Sums are made in a fixed order that does not depend
// on alignment.
#pragma once

#include <cstring>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// The numbers in one 32-byte register. Arithmetic, comparisons and ?: act lane by lane, so one loop body serves
// Lanes<T> and, for what is left over, T; load and store take either.
template <class T>
struct Register {
  typedef T Lanes __attribute__((vector_size(32)));
};
template <class T>
using Lanes = typename Register<T>::Lanes;
template <class T>
inline constexpr Index kLanes = 32 / static_cast<Index>(sizeof(T));

template <class V, class T>
[[gnu::always_inline]] inline V load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}
template <class V, class T>
[[gnu::always_inline]] inline void store(const V& v, T* to) {
  std::memcpy(to, &v, sizeof(V));
}

// Σ term(i), i < n, where term.operator()<V>(i) is the terms from i on that fill a V: a register, or one number.
template <class T, class Term>
T sum_over(Index n, Term term) {
  using V = Lanes<T>;
  constexpr Index kSums = 4;  // hide the latency of an addition
  V sums[kSums] = {};
  Index i = 0;
  for (; i + kSums * kLanes<T> <= n; i += kSums * kLanes<T>) {
    for (Index s = 0; s < kSums; ++s) sums[s] += term.template operator()<V>(i + s * kLanes<T>);
  }
  for (; i + kLanes<T> <= n; i += kLanes<T>) sums[0] += term.template operator()<V>(i);
  const V total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  T sum{0};
  for (; i < n; ++i) sum += term.template operator()<T>(i);
  for (Index l = 0; l < kLanes<T>; ++l) sum += total[l];
  return sum;
}

// Σ a[i] b[i].
template <class T>
T dot(const T* a, const T* b, Index n) {
  return sum_over<T>(n, [=]<class V>(Index i) { return load<V>(a + i) * load<V>(b + i); });
}

// Σ a[i].
template <class T>
T sum_of(const T* a, Index n) {
  return sum_over<T>(n, [=]<class V>(Index i) { return load<V>(a + i); });
}

// Whether no entry is NaN or infinite.
template <class T>
bool all_finite(const T* a, Index n) {
  return sum_over<T>(n, [=]<class V>(Index i) { return load<V>(a + i) - load<V>(a + i); }) == T{0};
}

// y[i] += c x[i].
template <class T>
void axpy(T c, const T* x, T* y, Index n) {
  for (Index i = 0; i < n; ++i) y[i] += c * x[i];
}

}  // namespace slopewise
