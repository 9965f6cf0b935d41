#include "slopewise/tensor/products/panels.hpp"

#include <algorithm>
#include <vector>

#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/buffer.hpp"
#include "slopewise/tensor/transpose.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

constexpr Index kPanel = PanelBackend::kPanel;
// W is multiplied in at most this many pieces, of at least two panels each: enough for the threads of a machine to
// share, few enough for a product to run at speed.
constexpr Index kMostPieces = 8;
constexpr Index kFewestPanels = 2;
// Rows of y that go back through W together: so many that their results stay in the second-level cache.
constexpr Index kMostRowsBack = 256;
// Columns of W that are worth a product of their own on the way back.
constexpr Index kFewestColumnsBack = 256;
// Columns changed before their copy in bfloat16 is made, while they are in the first-level cache; even.
constexpr Index kFreshColumns = 32;

// Rows of filters that are copied together; blocks of filters and panels are whole numbers of them.
constexpr Index kFilterRows = 16;

// Rank-one changes of a matrix that outgrows the second-level cache wait as factors, up to this many, and go through
// the matrix together: reading and writing it costs more than a few more terms in each product.
constexpr Index kMostWaiting = 8;
constexpr Index kFewestEntriesToWait = Index{1} << 19;
constexpr Index kShortestSideToWait = 256;

// Takes entries that are overwritten before they are read.
void make_room(Buffer<float>& buffer, Index entries) {
  if (buffer.size() < entries) buffer = Buffer<float>(entries);
}

inline Lanes<float> load_lanes(const float* from) {
  return load<Lanes<float>>(from);
}
inline Lanes<float> load_lanes(const Bfloat16* from) {
  using Halves = Bfloat16 __attribute__((vector_size(16)));
  using Words = std::uint32_t __attribute__((vector_size(32)));
  return std::bit_cast<Lanes<float>>(__builtin_convertvector(load<Halves>(from), Words) << 16);
}
inline float number(float value) {
  return value;
}
inline float number(Bfloat16 half) {
  return from_bfloat16(half);
}

// to(r, k) = Σ_i x_r[i] w_k[i] for kRows rows of x and kFactors rows of w, each read once; `shift`s from one row of
// each to the next. The order of a sum does not depend on how many are made together.
template <Index kRows, Index kFactors, class X>
void dots(const X* x, Index x_shift, const float* w, Index w_shift, Index n, float* to, Index to_shift) {
  using V = Lanes<float>;
  V sums[kRows][kFactors] = {};
  Index i = 0;
  for (; i + kLanes<float> <= n; i += kLanes<float>) {
    V rows[kRows];
#pragma GCC unroll 8
    for (Index r = 0; r < kRows; ++r) rows[r] = load_lanes(x + r * x_shift + i);
#pragma GCC unroll 8
    for (Index k = 0; k < kFactors; ++k) {
      const V factor = load<V>(w + k * w_shift + i);
#pragma GCC unroll 8
      for (Index r = 0; r < kRows; ++r) sums[r][k] += rows[r] * factor;
    }
  }
  for (Index r = 0; r < kRows; ++r) {
    for (Index k = 0; k < kFactors; ++k) {
      float sum = 0;
      for (Index l = 0; l < kLanes<float>; ++l) sum += sums[r][k][l];
      for (Index l = i; l < n; ++l) sum += number(x[r * x_shift + l]) * w[k * w_shift + l];
      to[r * to_shift + k] = sum;
    }
  }
}

// to[j] = from[j] + Σ_k shares[k] left_k[j], left_k at `left` + k stride.
void add_combination(const float* from, Index count, const float* shares, const float* left, Index stride, float* to,
                     Index n) {
  using V = Lanes<float>;
  constexpr Index kVectors = 8, kBlock = kVectors * kLanes<float>;
  Index j = 0;
  for (; j + kBlock <= n; j += kBlock) {
    V sums[kVectors];
#pragma GCC unroll kVectors
    for (Index v = 0; v < kVectors; ++v) sums[v] = load<V>(from + j + v * kLanes<float>);
    for (Index k = 0; k < count; ++k) {
#pragma GCC unroll kVectors
      for (Index v = 0; v < kVectors; ++v) sums[v] += shares[k] * load<V>(left + k * stride + j + v * kLanes<float>);
    }
#pragma GCC unroll kVectors
    for (Index v = 0; v < kVectors; ++v) store(sums[v], to + j + v * kLanes<float>);
  }
  for (; j < n; ++j) {
    float sum = from[j];
    for (Index k = 0; k < count; ++k) sum += shares[k] * left[k * stride + j];
    to[j] = sum;
  }
}

class PanelWeights final : public WeightProduct {
 public:
  PanelWeights(const PanelBackend& backend, Index row_count, Index column_count)
      : WeightProduct(row_count, column_count),
        backend_(backend),
        panels_((rows() + kPanel - 1) / kPanel),
        panels_a_piece_(std::max(kFewestPanels, (panels_ + kMostPieces - 1) / kMostPieces)),
        panel_(round_up(columns(), PanelBackend::kFloatGroup) * kPanel),
        values_(panels_ * panel_) {
    std::fill_n(values_.data(), values_.size(), 0.0f);
  }
  static Index bytes(Index rows, Index columns, bool bfloat16) {
    const auto entries = [rows](Index padded) { return round_up(rows, kPanel) * padded; };
    return entries(round_up(columns, PanelBackend::kFloatGroup)) * Index{sizeof(float)} +
           (bfloat16 ? entries(round_up(columns, PanelBackend::kBfloatGroup)) * Index{sizeof(Bfloat16)} : 0);
  }

  void pack(const float* weights) override {
    waiting_ = 0;
    each_panel([&](Index p) {
      transpose(weights + p * kPanel * columns(), columns(), height(p), columns(), at(p), kPanel,
                [](const auto&, const auto& value) { return value; });
      refresh(p, 0, columns());
    });
  }
  void unpack(float* weights) const override {
    each_panel([&](Index p) {
      transpose(at(p), kPanel, columns(), height(p), weights + p * kPanel * columns(), columns(),
                [](const auto&, const auto& value) { return value; });
      for (Index i = p * kPanel; i < p * kPanel + height(p); ++i) {
        for (Index k = 0; k < waiting_; ++k)
          axpy(left_[k * rows() + i], right_.data() + k * columns(), weights + i * columns(), columns());
      }
    });
  }

  const float* filters(Index block, float* scratch) const override {
    if (block == kPanel && waiting_ == 0 && (panels_ == 1 || panel_ == columns() * kPanel)) return values_.data();
    for (Index first = 0; first < rows(); first += block) {
      float* const to = scratch + first * columns();
      for (Index i = 0; i < block; i += kFilterRows) {
        const Index row = first + i;
        const float* from = row < panels_ * kPanel ? at(row / kPanel) + row % kPanel : nullptr;
        for (Index column = 0; column < columns(); ++column) {
          for (Index j = 0; j < kFilterRows; ++j) to[column * block + i + j] = from ? from[column * kPanel + j] : 0.0f;
        }
      }
      for (Index k = 0; k < waiting_; ++k) {
        for (Index column = 0; column < columns(); ++column)
          axpy(right_[k * columns() + column], left_.data() + k * rows() + first, to + column * block,
               std::min(block, rows() - first));
      }
    }
    return scratch;
  }

  void keep_bfloat16() override {
    if (keeps_bfloat16()) return;
    low_panel_ = round_up(columns(), PanelBackend::kBfloatGroup) * kPanel;
    low_ = Buffer<Bfloat16>(panels_ * low_panel_);
    std::fill_n(low_.data(), low_.size(), Bfloat16{0});
    for (Index p = 0; p < panels_; ++p) refresh(p, 0, columns());
  }
  bool keeps_bfloat16() const override { return low_.size() > 0; }

  void multiply(Index count, const float* x, float* y) const override {
    multiply_pieces(count, x, values_.data(), panel_, y);
  }
  void multiply_bfloat16(Index count, const Bfloat16* x, float* y) const override {
    multiply_pieces(count, x, low_.data(), low_panel_, y);
  }

  // xᵀ = Σ_p W_pᵀ y_pᵀ: a panel is W_pᵀ as it lies, so W is read where it is, and y is put in panels instead.
  void multiply_transposed(Index count, const float* y, float beta, float* x) const override {
    for (Index first = 0; first < count; first += kMostRowsBack) {
      const Index now = std::min(kMostRowsBack, count - first);
      multiply_transposed_now(now, y + first * rows(), beta, x + first * columns());
    }
    if (waiting_ == 0) return;
    parallel_for(
        count,
        [&](Index r) {
          float shares[kMostWaiting];
          for (Index k = 0; k < waiting_; ++k) shares[k] = dot(y + r * rows(), left_.data() + k * rows(), rows());
          float* row = x + r * columns();
          add_combination(row, waiting_, shares, right_.data(), columns(), row, columns());
        },
        LoopSchedule::kStatic);
  }

  void let_changes_wait() override {
    if (left_.size() > 0 || !waits(rows(), columns())) return;
    left_ = Buffer<float>(kMostWaiting * rows());
    right_ = Buffer<float>(kMostWaiting * columns());
  }
  void add_rank_one(Index count, RankOne<float> factors) override {
    if (left_.size() == 0 || count > kMostWaiting) return add_now(count, factors);
    if (waiting_ + count > kMostWaiting) {
      add_now(waiting_, {.left = left_.data(), .right = right_.data()});
      waiting_ = 0;
    }
    std::copy_n(factors.left, count * rows(), left_.data() + waiting_ * rows());
    std::copy_n(factors.right, count * columns(), right_.data() + waiting_ * columns());
    waiting_ += count;
  }

  // W_pᵀ += xᵀ y_p, where y_p is a panel once its rows lie together.
  void add_product(Index count, const float* y, const float* x) override {
    if (count == 0) return;
    thread_local Buffer<float> x_transposed;
    make_room(x_transposed, columns() * count);
    float* const left = x_transposed.data();
    constexpr Index kColumns = 128;
    parallel_for((columns() + kColumns - 1) / kColumns, [&](Index piece) {
      const Index first = piece * kColumns;
      transpose(x + first, columns(), count, std::min(kColumns, columns() - first), left + first * count, count,
                [](const auto&, const auto& value) { return value; });
    });
    each_panel([&](Index p) {
      thread_local Buffer<float> right;
      const Index padded = round_up(count, PanelBackend::kFloatGroup);
      make_room(right, padded * kPanel);
      std::fill(right.data() + count * kPanel, right.data() + padded * kPanel, 0.0f);
      for (Index r = 0; r < count; ++r) {
        float* to = right.data() + r * kPanel;
        std::fill(std::copy_n(y + r * rows() + p * kPanel, height(p), to), to + kPanel, 0.0f);
      }
      backend_.multiply_panels(kPanel, count, columns(), left, right.data(), at(p), true);
      refresh(p, 0, columns());
    });
  }

  void add(std::span<const float> factors, const RowSource& a) override {
    each_panel([&](Index p) {
      thread_local Buffer<float> scratch;
      make_room(scratch, kRowsAtATime * columns());
      for (std::size_t k = 0; k < factors.size(); ++k) {
        for (Index first = 0; first < height(p); first += kRowsAtATime) {
          const Index count = std::min(kRowsAtATime, height(p) - first);
          transpose(a(static_cast<Index>(k), p * kPanel + first, count, scratch.data()), columns(), count, columns(),
                    at(p) + first, kPanel,
                    [factor = factors[k]](const auto& sum, const auto& value) { return sum + factor * value; });
        }
      }
      refresh(p, 0, columns());
    });
  }

  void scale(float factor) override {
    each_panel([&](Index p) {
      for (Index i = 0; i < panel_; ++i) at(p)[i] *= factor;
      refresh(p, 0, columns());
    });
    for (Index i = 0; i < waiting_ * rows(); ++i) left_[i] *= factor;
  }

 private:
  static bool waits(Index rows, Index columns) {
    return rows * columns >= kFewestEntriesToWait && std::min(rows, columns) >= kShortestSideToWait;
  }

  // Rows of W in panel p: fewer than 64 in the last.
  Index height(Index p) const { return std::min(kPanel, rows() - p * kPanel); }
  float* at(Index p) { return values_.data() + p * panel_; }
  const float* at(Index p) const { return values_.data() + p * panel_; }
  Index pieces() const { return (panels_ + panels_a_piece_ - 1) / panels_a_piece_; }

  // Calls body(panel) for all panels, those of a piece on the thread that multiplies it.
  template <class Body>
  void each_panel(Body body) const {
    parallel_for(
        pieces(),
        [&](Index piece) {
          const Index end = std::min(panels_, (piece + 1) * panels_a_piece_);
          for (Index p = piece * panels_a_piece_; p < end; ++p) body(p);
        },
        LoopSchedule::kStatic);
  }

  template <class X>
  void multiply_pieces(Index count, const X* x, const X* panels, Index panel, float* y) const {
    if (count == 0) return;
    const float* const shares = shares_of_waiting(count, x);
    const Index most = panels_a_piece_ * kPanel;
    parallel_for(
        pieces(),
        [&](Index piece) {
          const Index first = piece * most;
          const Index now = std::min(most, rows() - first);
          const X* own = panels + piece * panels_a_piece_ * panel;
          if (now == rows() && waiting_ == 0) return backend_.multiply_panels(now, columns(), count, x, own, y, false);
          thread_local Buffer<float> product;
          make_room(product, count * now);
          backend_.multiply_panels(now, columns(), count, x, own, product.data(), false);
          for (Index r = 0; r < count; ++r) {
            add_combination(product.data() + r * now, waiting_, shares + r * waiting_, left_.data() + first, rows(),
                            y + r * rows() + first, now);
          }
        },
        LoopSchedule::kStatic);
  }

  void multiply_transposed_now(Index count, const float* y, float beta, float* x) const {
    const Index padded = round_up(count, kPanel);
    thread_local Buffer<float> y_panels;  // (panels of W, ⌈count / 64⌉, 64, 64)
    make_room(y_panels, panels_ * padded * kPanel);
    float* const right = y_panels.data();
    each_panel([&](Index p) {
      float* to = right + p * padded * kPanel;
      if (count < padded || height(p) < kPanel) std::fill_n(to, padded * kPanel, 0.0f);
      for (Index r = 0; r < count; r += kPanel) {
        transpose(y + r * rows() + p * kPanel, rows(), std::min(kPanel, count - r), height(p), to + r * kPanel, kPanel,
                  [](const auto&, const auto& value) { return value; });
      }
    });
    const Index pieces = std::clamp(columns() / kFewestColumnsBack, Index{1}, kMostPieces);
    parallel_for(
        pieces,
        [&](Index piece) {
          const Index first = columns() * piece / pieces;
          const Index now = columns() * (piece + 1) / pieces - first;
          thread_local Buffer<float> result;  // (columns now, count)
          make_room(result, now * count);
          for (Index p = 0; p < panels_; ++p) {
            backend_.multiply_panels(count, kPanel, now, at(p) + first * kPanel, right + p * padded * kPanel,
                                     result.data(), p > 0);
          }
          if (beta == 0) {
            transpose(result.data(), count, now, count, x + first, columns(),
                      [](const auto&, const auto& value) { return value; });
          } else {
            transpose(result.data(), count, now, count, x + first, columns(),
                      [beta](const auto& before, const auto& value) { return beta * before + value; });
          }
        },
        LoopSchedule::kStatic);
  }

  // x · right_k for each row of x and each pair of factors that waits, (count, waiting); the calling thread's until its
  // next call.
  template <class X>
  const float* shares_of_waiting(Index count, const X* x) const {
    thread_local Buffer<float> shares;
    make_room(shares, count * waiting_);
    float* const to = shares.data();
    if (waiting_ == 0) return to;
    constexpr Index kRows = 16;
    parallel_for((count + kRows - 1) / kRows,
                 [&](Index piece) {
                   const auto make = [&]<Index kRowsNow, Index kFactorsNow>(Index r, Index k) {
                     dots<kRowsNow, kFactorsNow>(x + r * columns(), columns(), right_.data() + k * columns(), columns(),
                                                 columns(), to + r * waiting_ + k, waiting_);
                   };
                   const auto make_rows = [&]<Index kRowsNow>(Index r) {
                     Index k = 0;
                     for (; k + 4 <= waiting_; k += 4) make.template operator()<kRowsNow, 4>(r, k);
                     for (; k < waiting_; ++k) make.template operator()<kRowsNow, 1>(r, k);
                   };
                   const Index end = std::min(count, (piece + 1) * kRows);
                   Index r = piece * kRows;
                   for (; r + 2 <= end; r += 2) make_rows.template operator()<2>(r);
                   if (r < end) make_rows.template operator()<1>(r);
                 },
                 LoopSchedule::kStatic);
    return to;
  }

  void add_now(Index count, RankOne<float> factors) {
    each_panel([&](Index p) {
      float* panel = at(p);
      thread_local std::vector<float> left;  // the factors' entries in this panel, (K, 64)
      left.assign(static_cast<std::size_t>(count * kPanel), 0.0f);
      for (Index k = 0; k < count; ++k)
        std::copy_n(factors.left + k * rows() + p * kPanel, height(p), left.data() + k * kPanel);
      const float* lefts = left.data();
      const Index width = columns();
      for (Index first = 0; first < width; first += kFreshColumns) {
        const Index last = std::min(width, first + kFreshColumns);
        for (Index column = first; column < last; ++column) {
          using V = Lanes<float>;
          constexpr Index kVectors = kPanel / kLanes<float>;
          float* entries = panel + column * kPanel;
          V sums[kVectors];  // held in registers over all K
#pragma GCC unroll kVectors
          for (Index v = 0; v < kVectors; ++v) sums[v] = load<V>(entries + v * kLanes<float>);
          for (Index k = 0; k < count; ++k) {
            const float right = factors.right[k * width + column];
            const float* u = lefts + k * kPanel;
#pragma GCC unroll kVectors
            for (Index v = 0; v < kVectors; ++v) sums[v] += right * load<V>(u + v * kLanes<float>);
          }
#pragma GCC unroll kVectors
          for (Index v = 0; v < kVectors; ++v) store(sums[v], entries + v * kLanes<float>);
        }
        refresh(p, first, last);
      }
    });
  }

  // Makes the copy in bfloat16, if one is kept, of columns [first, last) of panel p; `first` is even.
  void refresh(Index p, Index first, Index last) {
    if (!keeps_bfloat16()) return;
    const float* from = at(p);
    Bfloat16* to = low_.data() + p * low_panel_;
    for (Index column = first; column < last; column += 2) {
      const float* even = from + column * kPanel;
      const float* odd = even + kPanel;  // of the padding, if there is no such column: zeros
      to_bfloat16_pairs(even, odd, to + column * kPanel, kPanel);
    }
  }

  const PanelBackend& backend_;
  Index panels_;
  Index panels_a_piece_;
  Index panel_;           // entries of one
  Buffer<float> values_;  // (panels, padded columns, 64)
  Index low_panel_ = 0;   // the same in bfloat16, if kept: (panels, padded columns / 2, 64, 2)
  Buffer<Bfloat16> low_;
  Index waiting_ = 0;           // pairs of factors that are not in `values_` yet
  Buffer<float> left_, right_;  // (8, rows) and (8, columns), where changes may wait
};

}  // namespace

std::unique_ptr<WeightProduct> PanelBackend::weights(Index rows, Index columns) const {
  return std::make_unique<PanelWeights>(*this, rows, columns);
}
Index PanelBackend::bytes(Index rows, Index columns, bool bfloat16) const {
  return PanelWeights::bytes(rows, columns, bfloat16);
}

Index PanelBackend::scratch_used_once(Index count, Index columns) const {
  return kRowsAtATime * columns + (round_up(columns, kFloatGroup) + count) * kPanel;
}

static_assert(kRowsUsedOnce == kPanel);

void PanelBackend::multiply_used_once(Index count, Index height, Index columns, float factor, const float* x,
                                      const RowSource& a, float* y, Index y_stride, bool accumulate,
                                      float* scratch) const {
  float* panel = scratch;  // aligned, as scratch is
  float* product = panel + round_up(columns, kFloatGroup) * kPanel;
  float* rows = product + count * kPanel;
  if (height < kPanel) std::fill_n(panel, columns * kPanel, 0.0f);
  std::fill(panel + columns * kPanel, product, 0.0f);
  for (Index first = 0; first < height; first += kRowsAtATime) {
    const Index some = std::min(kRowsAtATime, height - first);
    transpose(a(0, first, some, rows), columns, some, columns, panel + first, kPanel,
              [](const auto&, const auto& value) { return value; });
  }
  multiply_panels(kPanel, columns, count, x, panel, product, false);
  for (Index r = 0; r < count; ++r) {
    float* to = y + r * y_stride;
    const float* from = product + r * kPanel;
    for (Index i = 0; i < height; ++i) to[i] = (accumulate ? to[i] : 0.0f) + factor * from[i];
  }
}

}  // namespace slopewise
