// Small loops over contiguous numbers. Sums are made in a fixed order that does not depend on alignment, and in lanes
// the compiler turns into vectors.
#pragma once

#include "slopewise/base/shape.hpp"

namespace slopewise {

// Σ a[i] b[i].
template <class T>
T dot(const T* a, const T* b, Index n) {
  constexpr Index kLanes = 32;
  T lanes[kLanes] = {};
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (Index l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (Index l = 0; i < n; ++i, ++l) lanes[l] += a[i] * b[i];
  for (Index width = kLanes / 2; width > 0; width /= 2) {
    for (Index l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  }
  return lanes[0];
}

// y[i] += c x[i].
template <class T>
void axpy(T c, const T* x, T* y, Index n) {
  for (Index i = 0; i < n; ++i) y[i] += c * x[i];
}

}  // namespace slopewise
