// A weight matrix as products read it, changed in place: what ops, plans and parameters know of the libraries that
// multiply. Each library keeps its own layout behind it (backend.hpp).
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "slopewise/tensor/products/bfloat16.hpp"
#include "slopewise/tensor/tangents.hpp"

namespace slopewise {

// Rows of K dense matrices as they are needed: rows(k, first, count, scratch) returns rows [first, first + count) of
// matrix k, row-major, either where they are or written to `scratch`. Called from several threads.
using RowSource = std::function<const float*(Index k, Index first, Index count, float* scratch)>;
// Rows asked for at a time: of a thousand columns they stay in the first-level cache.
inline constexpr Index kRowsAtATime = 8;

// W (rows, columns). Copies what it is given. Calls that read are safe from several threads at once.
//
// Every call spreads its work over the threads (base/threads.hpp) in pieces that W's shape alone decides, so the bits
// of a product depend on W and x, never on how many threads made it.
class WeightProduct {
 public:
  // A zero matrix in the layout of the library that multiplies on this processor.
  static std::unique_ptr<WeightProduct> make(Index rows, Index columns);
  // Whether a matrix gains by being kept so: layouts are padded.
  static bool suits(Index rows, Index columns);
  // Bytes that such a matrix holds.
  static Index bytes(Index rows, Index columns, bool bfloat16 = false);

  WeightProduct(Index rows, Index columns) : rows_(rows), columns_(columns) {}
  virtual ~WeightProduct() = default;
  WeightProduct(const WeightProduct&) = delete;
  WeightProduct& operator=(const WeightProduct&) = delete;

  Index rows() const { return rows_; }
  Index columns() const { return columns_; }

  // From and to row-major (rows, columns).
  virtual void pack(const float* weights) = 0;
  virtual void unpack(float* weights) const = 0;
  // W as filters in blocks of so many rows, a multiple of 16 (convolution.hpp): where it lies, if it lies so, or
  // written to `scratch` of filter_entries(rows, columns, block). Runs on the calling thread.
  virtual const float* filters(Index block, float* scratch) const = 0;
  // Keeps a copy in bfloat16 from now on, up to date with every change; for multiply_bfloat16. Needs has_bfloat16().
  virtual void keep_bfloat16() = 0;
  virtual bool keeps_bfloat16() const = 0;

  // y = x Wᵀ: x (count, columns), y (count, rows), both contiguous.
  virtual void multiply(Index count, const float* x, float* y) const = 0;
  // The same with factors rounded to bfloat16 and sums in float. Needs keep_bfloat16().
  virtual void multiply_bfloat16(Index count, const Bfloat16* x, float* y) const = 0;
  // x = beta x + y W: y (count, rows), x (count, columns).
  virtual void multiply_transposed(Index count, const float* y, float beta, float* x) const = 0;

  // Lets changes by add_rank_one wait as factors for some calls before they go into the matrix, where that saves time;
  // products and unpack() have them at once. The bits of later products then depend on which changes still wait, which
  // unpack() does not tell: who goes on from unpacked weights goes on within rounding.
  virtual void let_changes_wait() = 0;
  // W += Σ_k left_k right_kᵀ with K factor pairs.
  virtual void add_rank_one(Index count, RankOne<float> factors) = 0;
  // W += yᵀ x: y (count, rows), x (count, columns).
  virtual void add_product(Index count, const float* y, const float* x) = 0;
  // W += Σ_k factors[k] A_k; every row of each A_k is asked for once.
  virtual void add(std::span<const float> factors, const RowSource& a) = 0;
  // W *= factor.
  virtual void scale(float factor) = 0;

 private:
  Index rows_, columns_;
};

// Whether the library in use multiplies bfloat16 numbers on this processor (AVX512_BF16, AMX).
bool has_bfloat16();

// Rows of a matrix that is used once which one product takes at most.
inline constexpr Index kRowsUsedOnce = 64;
// y (+)= factor x Aᵀ for an A (height, columns) of at most kRowsUsedOnce rows that is used once: x (count, columns),
// y (count, height) of row stride `y_stride`; `a` is asked for k = 0. Runs on the calling thread and needs
// scratch_used_once(count, columns) entries of scratch.
void multiply_used_once(Index count, Index height, Index columns, float factor, const float* x, const RowSource& a,
                        float* y, Index y_stride, bool accumulate, float* scratch);
Index scratch_used_once(Index count, Index columns);

}  // namespace slopewise
