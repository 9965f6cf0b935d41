#include "slopewise/tensor/matmul.hpp"

#include <cblas-openblas.h>

#include <algorithm>
#include <type_traits>

namespace slopewise {
namespace {

// Callers cut the work, so OpenBLAS must not cut it again.
[[maybe_unused]] const bool kSingleThreadedBlas = [] {
  openblas_set_num_threads(1);
  return true;
}();

CBLAS_TRANSPOSE blas_transpose(bool transposed) {
  return transposed ? CblasTrans : CblasNoTrans;
}

}  // namespace

template <class T>
void matmul(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T beta, T* c, Index c_stride) {
  if (m == 0 || n == 0) return;
  const auto stride = [](const Operand<T>& operand) {
    return static_cast<blasint>(std::max<Index>(operand.stride, 1));
  };
  const auto gemm = [] {
    if constexpr (std::is_same_v<T, float>) {
      return cblas_sgemm;
    } else {
      return cblas_dgemm;
    }
  }();
  gemm(CblasRowMajor, blas_transpose(a.transposed), blas_transpose(b.transposed), static_cast<blasint>(m),
       static_cast<blasint>(n), static_cast<blasint>(k), alpha, a.data, stride(a), b.data, stride(b), beta, c,
       static_cast<blasint>(c_stride));
}

template void matmul<float>(Index, Index, Index, float, Operand<float>, Operand<float>, float, float*, Index);
template void matmul<double>(Index, Index, Index, double, Operand<double>, Operand<double>, double, double*, Index);

}  // namespace slopewise
