// Matrix products, row-major. They run on the calling thread: callers cut the work (see base/threads.hpp).
#pragma once

#include "slopewise/base/shape.hpp"

namespace slopewise {

// A row-major operand with `stride` entries from one row to the next; transposed, the operand is its transpose.
template <class T>
struct Operand {
  const T* data = nullptr;
  Index stride = 0;
  bool transposed = false;
};

// C = alpha A B + beta C, with A (m, k), B (k, n), C (m, n) of row stride `c_stride`, for float and double.
// Which library makes it depends on T and the extents (products/backend.hpp); the bits depend on nothing else.
template <class T>
void matmul(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T beta, T* c, Index c_stride);

}  // namespace slopewise
