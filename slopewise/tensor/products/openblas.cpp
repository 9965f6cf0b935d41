// OpenBLAS: products of doubles, products too small for oneDNN's set-up to pay, and all of them where oneDNN has no
// kernels for panels.
#include <algorithm>
#include <string>

#include "slopewise/tensor/products/openblas_library.hpp"
#include "slopewise/tensor/products/panels.hpp"

namespace slopewise {
namespace {

CBLAS_TRANSPOSE blas_transpose(bool transposed) {
  return transposed ? CblasTrans : CblasNoTrans;
}

template <class T, class Gemm>
void multiply_by(Gemm gemm, const PlainProduct<T>& p) {
  const auto stride = [](const Operand<T>& operand) {
    return static_cast<blasint>(std::max<Index>(operand.stride, 1));
  };
  gemm(CblasRowMajor, blas_transpose(p.a.transposed), blas_transpose(p.b.transposed), static_cast<blasint>(p.m),
       static_cast<blasint>(p.n), static_cast<blasint>(p.k), p.alpha, p.a.data, stride(p.a), p.b.data, stride(p.b),
       p.beta, p.c, static_cast<blasint>(p.c_stride));
}

class OpenBlasProducts final : public PanelBackend {
 public:
  std::string name() const override {
    const std::string config = openblas().config();  // "OpenBLAS 0.3.21 DYNAMIC_ARCH …"
    return config.substr(0, config.find(' ', config.find(' ') + 1));
  }
  std::string kernels() const override { return openblas().core_name(); }

  bool takes(const PlainProduct<float>&) const override { return true; }
  bool takes(const PlainProduct<double>&) const override { return true; }
  void multiply(const PlainProduct<float>& product) const override {
    multiply_by(openblas_with_buffer().sgemm, product);
  }
  void multiply(const PlainProduct<double>& product) const override {
    multiply_by(openblas_with_buffer().dgemm, product);
  }

  bool has_bfloat16() const override { return false; }
  using PanelBackend::multiply_panels;
  void multiply_panels(Index rows, Index columns, Index count, const float* x, const float* panels, float* y,
                       bool accumulate) const override {
    const Index panel = round_up(columns, kFloatGroup) * kPanel;
    for (Index first = 0; first < rows; first += kPanel) {
      multiply({.m = count,
                .n = std::min(kPanel, rows - first),
                .k = columns,
                .alpha = 1,
                .a = {x, columns},
                .b = {panels + first / kPanel * panel, kPanel},
                .beta = accumulate ? 1.0f : 0.0f,
                .c = y + first,
                .c_stride = rows});
    }
  }
};

}  // namespace

const ProductBackend& openblas_products() {
  static const OpenBlasProducts products;
  return products;
}

}  // namespace slopewise
