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
// By OpenBLAS: oneDNN 2.6.3's sgemm is faster, but a signal that arrives while it runs corrupts memory.
template <class T>
void matmul(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T beta, T* c, Index c_stride);

}  // namespace slopewise
