// OpenBLAS: products of doubles, products too small for oneDNN's set-up to pay, and all of them where oneDNN has no
// kernels for panels. It chooses its kernels by a list of processors and takes one that is not on it for a Prescott,
// five times too slow on today's Intels; so they are chosen here, by what the processor can do.
#include <cblas-openblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "slopewise/tensor/instruction_set.hpp"
#include "slopewise/tensor/products/panels.hpp"

// Of builds with kernels for many processors, as Debian's; others have one set and nothing to choose.
extern "C" {
[[gnu::weak]] void gotoblas_dynamic_init();
[[gnu::weak]] void gotoblas_dynamic_quit();
}

namespace slopewise {
namespace {

constexpr char kCoreType[] = "OPENBLAS_CORETYPE";

const char* widest_kernels() {
  switch (instruction_set()) {
    case InstructionSet::kAvx2:
      return "Haswell";
    case InstructionSet::kAvx512:
      return "SkylakeX";
    default:
      return "Cooperlake";
  }
}

// Runs when the library is loaded, before main or in dlopen: a program that loads it later must not multiply by the
// same OpenBLAS, or change its environment, on another thread meanwhile. Who sets OPENBLAS_CORETYPE keeps his choice.
// Callers cut the work, so OpenBLAS must not cut it again.
[[maybe_unused]] const bool kChosen = [] {
  const char* given = std::getenv(kCoreType);
  if ((!given || !*given) && gotoblas_dynamic_init && gotoblas_dynamic_quit) {
    setenv(kCoreType, widest_kernels(), 1);
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    unsetenv(kCoreType);
  }
  openblas_set_num_threads(1);
  return true;
}();

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
    const std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 DYNAMIC_ARCH …"
    return config.substr(0, config.find(' ', config.find(' ') + 1));
  }
  std::string kernels() const override { return openblas_get_corename(); }

  bool takes(const PlainProduct<float>&) const override { return true; }
  bool takes(const PlainProduct<double>&) const override { return true; }
  void multiply(const PlainProduct<float>& product) const override { multiply_by(cblas_sgemm, product); }
  void multiply(const PlainProduct<double>& product) const override { multiply_by(cblas_dgemm, product); }

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
