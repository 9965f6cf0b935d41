// Matrix products, row-major. They run on the calling thread: callers cut the work (see base/threads.hpp).
#pragma once

#include "slopewise/base/shape.hpp"
#include "slopewise/tensor/buffer.hpp"

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

// A weight matrix W (rows, columns) in the layout the product x Wᵀ reads fastest: for float oneDNN's own packed layout;
// for double, and for float of at most 16 rows, W itself, which must then outlive this object.
template <class T>
class PackedMatrix;

template <>
class PackedMatrix<float> {
 public:
  PackedMatrix(Index rows, Index columns);
  ~PackedMatrix();
  PackedMatrix(PackedMatrix&&) noexcept;
  PackedMatrix& operator=(PackedMatrix&&) noexcept;

  void pack(const float* weights);
  // y = x Wᵀ: x (count, columns), y (count, rows), both contiguous. Safe to call from several threads at once.
  void multiply(Index count, const float* x, float* y) const;
  Index bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

template <>
class PackedMatrix<double> {
 public:
  PackedMatrix(Index rows, Index columns) : rows_(rows), columns_(columns) {}
  void pack(const double* weights) { weights_ = weights; }
  void multiply(Index count, const double* x, double* y) const;
  Index bytes() const { return 0; }

 private:
  Index rows_, columns_;
  const double* weights_ = nullptr;
};

}  // namespace slopewise
