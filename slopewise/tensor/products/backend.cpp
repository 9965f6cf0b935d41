#include "slopewise/tensor/products/backend.hpp"

#include <fmt/format.h>

#include <vector>

namespace slopewise {
namespace {

// OpenBLAS is last: it takes every product, of doubles too.
const std::vector<const ProductBackend*>& in_use() {
  static const std::vector<const ProductBackend*> found = [] {
    std::vector<const ProductBackend*> run;
    for (const ProductBackend* backend : {&dnnl_products(), &openblas_products()}) {
      if (!backend->kernels().empty()) run.push_back(backend);
    }
    return run;
  }();
  return found;
}
const ProductBackend& of_weights() {
  return *in_use().front();
}

}  // namespace

std::span<const ProductBackend* const> backends() {
  return in_use();
}

std::string describe_products() {
  std::string text;
  for (const ProductBackend* backend : backends())
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", backend->name(), backend->kernels());
  return text;
}

template <class T>
void matmul(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T beta, T* c, Index c_stride) {
  if (m == 0 || n == 0) return;
  const PlainProduct<T> product{m, n, k, alpha, a, b, beta, c, c_stride};
  for (const ProductBackend* backend : backends()) {
    if (backend->takes(product)) return backend->multiply(product);
  }
  throw Error(fmt::format("matmul: no library takes a product of {} × {} × {}", m, n, k));
}

template void matmul<float>(Index, Index, Index, float, Operand<float>, Operand<float>, float, float*, Index);
template void matmul<double>(Index, Index, Index, double, Operand<double>, Operand<double>, double, double*, Index);

std::unique_ptr<WeightProduct> WeightProduct::make(Index rows, Index columns) {
  return of_weights().weights(rows, columns);
}
bool WeightProduct::suits(Index rows, Index columns) {
  return of_weights().suits(rows, columns);
}
Index WeightProduct::bytes(Index rows, Index columns, bool bfloat16) {
  return of_weights().bytes(rows, columns, bfloat16);
}
Index filter_block(const Convolution& of) {
  return of_weights().filter_block(of);
}
void convolve(const Convolution& of, const float* filters, const float* x, bool accumulate, float* y) {
  of_weights().convolve(of, filters, x, accumulate, y);
}
Index filter_gradient_scratch(const Convolution& of, Index images) {
  return of_weights().filter_gradient_scratch(of, images);
}
void filter_gradient(const Convolution& of, Index images, const float* x, const float* cotangent, float* gradient,
                     float* scratch) {
  of_weights().filter_gradient(of, images, x, cotangent, gradient, scratch);
}
bool has_bfloat16() {
  return of_weights().has_bfloat16();
}
void multiply_used_once(Index count, Index height, Index columns, float factor, const float* x, const RowSource& a,
                        float* y, Index y_stride, bool accumulate, float* scratch) {
  of_weights().multiply_used_once(count, height, columns, factor, x, a, y, y_stride, accumulate, scratch);
}
Index scratch_used_once(Index count, Index columns) {
  return of_weights().scratch_used_once(count, columns);
}

}  // namespace slopewise
