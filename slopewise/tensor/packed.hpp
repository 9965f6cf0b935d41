// A weight matrix in the order in which products read it, changed in that order too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>

#include "slopewise/tensor/tangents.hpp"

namespace slopewise {

// The upper half of a float: 8 bits of exponent, 7 of fraction.
using Bfloat16 = std::uint16_t;

// Rounds to the nearest, ties to even; a NaN stays one.
void to_bfloat16(const float* from, Bfloat16* to, Index count);
// Whether this processor multiplies bfloat16 numbers (AVX512_BF16).
bool has_bfloat16();

// Rows of a dense matrix as they are needed: rows(first, count, scratch) returns rows [first, first + count),
// row-major, either where they are or written to `scratch`.
using RowSource = std::function<const float*(Index first, Index count, float* scratch)>;
// Rows asked for at a time: of a thousand columns they stay in the first-level cache.
inline constexpr Index kRowsAtATime = 8;

// Panels [first, first + count) of a packed matrix.
struct PanelRange {
  Index first, count;
};

// W (rows, columns) in panels of 64 rows, each (columns, 64) and padded by zeros: the layout of oneDNN's products for
// AVX-512. Copies nothing of what it is given. Calls that read are safe from several threads at once.
class PackedMatrix {
 public:
  // Rows of W in one panel.
  static constexpr Index kPanel = 64;
  // Whether a matrix gains by it: padding makes a product as wide as a whole panel.
  static bool suits(Index rows, Index columns) { return rows > kPanel / 4 && columns > 0; }

  PackedMatrix(Index rows, Index columns);
  ~PackedMatrix();
  PackedMatrix(PackedMatrix&&) noexcept;
  PackedMatrix& operator=(PackedMatrix&&) noexcept;

  Index rows() const;
  Index columns() const;
  Index panels() const { return (rows() + kPanel - 1) / kPanel; }
  // Rows of W in panel p: fewer than 64 in the last.
  Index height(Index p) const { return std::min(kPanel, rows() - p * kPanel); }
  // Bytes that such a matrix holds.
  static Index bytes(Index rows, Index columns, bool bfloat16 = false);

  // From and to row-major (rows, columns).
  void pack(const float* weights);
  void unpack(float* weights) const;
  // Keeps a copy in bfloat16 from now on, up to date with every change; for multiply_bfloat16.
  void keep_bfloat16();
  bool keeps_bfloat16() const;

  PanelRange all() const { return {0, panels()}; }
  // y = x Wᵀ: x (count, columns), y (count, rows), both contiguous; of y the columns of these panels alone.
  void multiply(PanelRange range, Index count, const float* x, float* y) const;
  void multiply(Index count, const float* x, float* y) const { multiply(all(), count, x, y); }
  // The same with factors rounded to bfloat16 and sums in float. Needs keep_bfloat16().
  void multiply_bfloat16(PanelRange range, Index count, const Bfloat16* x, float* y) const;
  void multiply_bfloat16(Index count, const Bfloat16* x, float* y) const { multiply_bfloat16(all(), count, x, y); }
  // x = beta x + y W: y (count, rows), x (count, columns).
  void multiply_transposed(Index count, const float* y, float beta, float* x) const;

  // Changes of panel p alone, so that panels may be changed by several threads at once.
  // W += Σ_k left_k right_kᵀ with K factor pairs.
  void add_rank_one(Index p, Index count, RankOne<float> factors);
  // W += yᵀ x: y (count, rows), x (count, columns).
  void add_product(Index p, Index count, const float* y, const float* x);
  // W += factor A, with the rows of A as numbered in W. Needs kRowsAtATime × columns entries of scratch.
  void add(Index p, float factor, const RowSource& a, float* scratch);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// y (+)= factor x Aᵀ for an A (height, columns) of at most 64 rows that is used once: x (count, columns), y (count,
// height) of row stride `y_stride`. Needs panel_scratch(count, columns) entries of scratch.
void multiply_panel(Index count, Index height, Index columns, float factor, const float* x, const RowSource& a,
                    float* y, Index y_stride, bool accumulate, float* scratch);
Index panel_scratch(Index count, Index columns);

}  // namespace slopewise
