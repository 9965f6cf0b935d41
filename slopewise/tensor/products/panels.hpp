// Weights in panels of 64 rows, each (columns, 64) and padded by zeros: the layout of oneDNN's products for AVX-512,
// and one that any product of plain matrices can read. What back ends that use it share.
#pragma once

#include "slopewise/tensor/products/backend.hpp"

namespace slopewise {

// A back end whose weights lie in panels.
class PanelBackend : public ProductBackend {
 public:
  // Rows of W in one panel.
  static constexpr Index kPanel = 64;
  // A panel's columns are padded to whole groups of these many.
  static constexpr Index kFloatGroup = 16;
  static constexpr Index kBfloatGroup = 32;

  // y (+)= x Wᵀ for W (rows, columns) in panels: x (count, columns), `panels` (⌈rows / 64⌉, padded columns, 64), in
  // bfloat16 (…, padded columns / 2, 64, 2); y (count, rows); all contiguous. On the calling thread.
  virtual void multiply_panels(Index rows, Index columns, Index count, const float* x, const float* panels, float* y,
                               bool accumulate) const = 0;
  virtual void multiply_panels(Index, Index, Index, const Bfloat16*, const Bfloat16*, float*, bool) const {
    throw Error(name() + " multiplies no bfloat16 numbers");
  }

  std::unique_ptr<WeightProduct> weights(Index rows, Index columns) const final;
  bool suits(Index rows, Index columns) const final { return rows > kPanel / 4 && columns > 0; }
  Index bytes(Index rows, Index columns, bool bfloat16) const final;
  void multiply_used_once(Index count, Index height, Index columns, float factor, const float* x, const RowSource& a,
                          float* y, Index y_stride, bool accumulate, float* scratch) const final;
  Index scratch_used_once(Index count, Index columns) const final;
};

}  // namespace slopewise
