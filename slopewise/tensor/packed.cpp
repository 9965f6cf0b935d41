#include "slopewise/tensor/packed.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <map>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/tensor/buffer.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/transpose.hpp"

namespace slopewise {
namespace {

using Desc = dnnl::memory::desc;
using Type = dnnl::memory::data_type;

constexpr Index kPanel = PackedMatrix::kPanel;
// oneDNN pads the columns to whole groups of these many.
constexpr Index kFloatGroup = 16;
constexpr Index kBfloatGroup = 32;
// Columns changed before their copy in bfloat16 is made, while they are in the first-level cache; even.
constexpr Index kFreshColumns = 32;

// oneDNN decides how to cut a product when it is made; made for one thread, it gives the same bits on any number.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  thread_local dnnl::stream own(engine());
  return own;
}

// oneDNN's products of x (count, columns) with `rows` rows of a packed matrix; each made at its first use.
class Products {
 public:
  Products(Index columns, Type type) : columns_(columns), type_(type) {}

  // Whether oneDNN would choose the panels for so many rows itself: then it has the kernel that reads them.
  bool read_panels(Index rows) {
    try {
      return read_panels(layout(rows).data);
    } catch (const dnnl::error&) {  // no product of this type at all
      return false;
    }
  }

  // y (count, rows), `y_stride` entries from one row to the next. oneDNN's kernels for panels write contiguous rows
  // only.
  void run(Index rows, Index count, const void* x, const void* panels, float* y, Index y_stride) {
    if (y_stride == rows) return run(rows, count, x, panels, y);
    thread_local Buffer<float> contiguous;
    if (contiguous.size() < count * rows) contiguous = Buffer<float>(count * rows);
    run(rows, count, x, panels, contiguous.data());
    for (Index r = 0; r < count; ++r) std::copy_n(contiguous.data() + r * rows, rows, y + r * y_stride);
  }

 private:
  void run(Index rows, Index count, const void* x, const void* panels, float* y) {
    const dnnl::matmul& product = made(rows, count);
    const auto desc = [&](dnnl_query_t what) {
      return Desc(*dnnl_primitive_desc_query_md(product.get_primitive_desc(), what, 0));
    };
    const Desc scratch_desc = desc(dnnl_query_scratchpad_md);
    thread_local Buffer<std::byte> scratch;
    if (scratch.size() < static_cast<Index>(scratch_desc.get_size())) {
      scratch = Buffer<std::byte>(static_cast<Index>(scratch_desc.get_size()));
    }
    const OneThread one_thread;
    product.execute(stream(), {{DNNL_ARG_SRC, {desc(dnnl_query_src_md), engine(), const_cast<void*>(x)}},
                               {DNNL_ARG_WEIGHTS, {desc(dnnl_query_weights_md), engine(), const_cast<void*>(panels)}},
                               {DNNL_ARG_DST, {desc(dnnl_query_dst_md), engine(), y}},
                               {DNNL_ARG_SCRATCHPAD, {scratch_desc, engine(), scratch.data()}}});
    stream().wait();
  }

  dnnl::matmul::primitive_desc describe(Index rows, Index count, const Desc& weights) const {
    const OneThread one_thread;
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // the library's own is not safe across threads
    const Desc x({count, columns_}, type_, dnnl::memory::format_tag::ab);
    const Desc y({count, rows}, Type::f32, dnnl::memory::format_tag::ab);
    return {dnnl::matmul::desc(x, weights, y), attributes, engine()};
  }
  // What oneDNN would choose for a typical number of rows of x; every product then takes it as given.
  Desc layout(Index rows) const {
    const Desc any({columns_, rows}, type_, dnnl::memory::format_tag::any);
    return describe(rows, kPanel, any).weights_desc();
  }

  bool read_panels(const dnnl_memory_desc_t& has) const {
    const bool halves = type_ == Type::bf16;
    const Index group = halves ? kBfloatGroup : kFloatGroup;
    const dnnl_blocking_desc_t& blocks = has.format_desc.blocking;
    if (has.ndims != 2 || has.format_kind != dnnl_blocked) return false;
    // Outermost to innermost: panels, groups of 16 (pairs of) columns, the columns of a group, 64 rows, pairs.
    constexpr std::array<Index, 3> kBlocks{16, kPanel, 2}, kDimensions{0, 1, 0};
    if (blocks.inner_nblks != (halves ? 3 : 2)) return false;
    for (int i = 0; i < blocks.inner_nblks; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (blocks.inner_blks[i] != kBlocks[at] || blocks.inner_idxs[i] != kDimensions[at]) return false;
    }
    return blocks.strides[0] == group * kPanel && blocks.strides[1] == round_up(columns_, group) * kPanel;
  }

  const dnnl::matmul& made(Index rows, Index count) {
    const std::lock_guard lock(mutex_);
    auto found = products_.find({rows, count});
    if (found == products_.end()) {
      const Desc panels = layout(rows);
      if (!read_panels(panels.data)) {
        throw Error(fmt::format("packed product: oneDNN reads other rows of {} in panels but not {}", columns_, rows));
      }
      const OneThread one_thread;
      found = products_.emplace(std::pair(rows, count), dnnl::matmul(describe(rows, count, panels))).first;
    }
    return found->second;
  }

  Index columns_;
  Type type_;
  std::mutex mutex_;                                          // guards `products_`
  std::map<std::pair<Index, Index>, dnnl::matmul> products_;  // by rows of W and of x
};

// The product with one panel of so many columns; null where oneDNN reads no panels.
Products* panel_products(Index columns) {
  struct Entry {
    explicit Entry(Index columns) : products(columns, Type::f32), there(products.read_panels(kPanel)) {}
    Products products;
    bool there;
  };
  static std::mutex mutex;  // guards `made`
  static std::map<Index, Entry> made;
  const std::lock_guard lock(mutex);
  Entry& entry = made.try_emplace(columns, columns).first->second;
  return entry.there ? &entry.products : nullptr;
}

// The bits of a float whose upper half is the nearest bfloat16.
inline std::uint32_t round_up_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return nan ? bits | 0x00400000u : rounded;
}

}  // namespace

void to_bfloat16(const float* from, Bfloat16* to, Index count) {
  for (Index i = 0; i < count; ++i) to[i] = static_cast<Bfloat16>(round_up_half(from[i]) >> 16);
}

bool has_bfloat16() {
  static const bool has = Products(kBfloatGroup, Type::bf16).read_panels(kPanel);
  return has;
}

struct PackedMatrix::State {
  State(Index row_count, Index column_count)
      : rows(row_count),
        columns(column_count),
        panel(round_up(column_count, kFloatGroup) * kPanel),
        values(round_up(row_count, kPanel) / kPanel * panel),
        products(column_count, Type::f32),
        by_dnnl(products.read_panels(kPanel)) {
    std::fill_n(values.data(), values.size(), 0.0f);
  }

  Index rows, columns;
  Index panel;           // entries of one
  Buffer<float> values;  // (panels, padded columns, 64)
  Index low_panel = 0;   // the same in bfloat16, if kept: (panels, padded columns / 2, 64, 2)
  Buffer<Bfloat16> low;
  Products products;
  bool by_dnnl;  // else by OpenBLAS, panel after panel
  std::unique_ptr<Products> low_products;

  float* at(Index p) { return values.data() + p * panel; }

  // Makes the copy in bfloat16 of columns [first, last) of panel p; `first` is even.
  void refresh(Index p, Index first, Index last) {
    if (!low_products) return;
    const float* from = at(p);
    auto* pairs = reinterpret_cast<std::uint32_t*>(low.data() + p * low_panel);
    for (Index column = first; column < last; column += 2) {
      const float* even = from + column * kPanel;
      const float* odd = even + kPanel;  // of the padding, if there is no such column: zeros
      std::uint32_t* to = pairs + column / 2 * kPanel;
      for (Index r = 0; r < kPanel; ++r) to[r] = round_up_half(even[r]) >> 16 | (round_up_half(odd[r]) & 0xffff0000u);
    }
  }
};

PackedMatrix::PackedMatrix(Index rows, Index columns) : state_(std::make_unique<State>(rows, columns)) {}
PackedMatrix::~PackedMatrix() = default;
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;
PackedMatrix& PackedMatrix::operator=(PackedMatrix&&) noexcept = default;

Index PackedMatrix::rows() const {
  return state_->rows;
}
Index PackedMatrix::columns() const {
  return state_->columns;
}
Index PackedMatrix::bytes(Index rows, Index columns, bool bfloat16) {
  const auto halves = static_cast<Index>(sizeof(Bfloat16));
  return round_up(rows, kPanel) *
         (round_up(columns, kFloatGroup) * 2 * halves + (bfloat16 ? round_up(columns, kBfloatGroup) * halves : 0));
}

void PackedMatrix::pack(const float* weights) {
  for (Index p = 0; p < panels(); ++p) {
    transpose(weights + p * kPanel * columns(), columns(), height(p), columns(), state_->at(p), kPanel,
              [](const auto&, const auto& value) { return value; });
    state_->refresh(p, 0, columns());
  }
}

void PackedMatrix::unpack(float* weights) const {
  for (Index p = 0; p < panels(); ++p) {
    transpose(state_->at(p), kPanel, columns(), height(p), weights + p * kPanel * columns(), columns(),
              [](const auto&, const auto& value) { return value; });
  }
}

void PackedMatrix::keep_bfloat16() {
  if (keeps_bfloat16()) return;
  state_->low_panel = round_up(columns(), kBfloatGroup) * kPanel;
  state_->low = Buffer<Bfloat16>(panels() * state_->low_panel);
  std::fill_n(state_->low.data(), state_->low.size(), Bfloat16{0});
  state_->low_products = std::make_unique<Products>(columns(), Type::bf16);
  for (Index p = 0; p < panels(); ++p) state_->refresh(p, 0, columns());
}

bool PackedMatrix::keeps_bfloat16() const {
  return state_->low_products != nullptr;
}

void PackedMatrix::multiply(PanelRange range, Index count, const float* x, float* y) const {
  if (count == 0 || range.count == 0) return;
  if (state_->by_dnnl) {
    const Index first = range.first * kPanel;
    const Index rows_now = std::min(range.count * kPanel, rows() - first);
    return state_->products.run(rows_now, count, x, state_->at(range.first), y + first, rows());
  }
  for (Index p = range.first; p < range.first + range.count; ++p) {
    matmul<float>(count, height(p), columns(), 1.0f, {x, columns()}, {state_->at(p), kPanel}, 0.0f, y + p * kPanel,
                  rows());
  }
}

void PackedMatrix::multiply_bfloat16(PanelRange range, Index count, const Bfloat16* x, float* y) const {
  if (count == 0 || range.count == 0) return;
  const Index first = range.first * kPanel;
  state_->low_products->run(std::min(range.count * kPanel, rows() - first), count, x,
                            state_->low.data() + range.first * state_->low_panel, y + first, rows());
}

void PackedMatrix::multiply_transposed(Index count, const float* y, float beta, float* x) const {
  for (Index p = 0; p < panels(); ++p) {
    matmul<float>(count, columns(), height(p), 1.0f, {y + p * kPanel, rows()}, {state_->at(p), kPanel, true},
                  p == 0 ? beta : 1.0f, x, columns());
  }
}

void PackedMatrix::add_rank_one(Index p, Index count, RankOne<float> factors) {
  float* panel = state_->at(p);
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
    state_->refresh(p, first, last);
  }
}

void PackedMatrix::add_product(Index p, Index count, const float* y, const float* x) {
  matmul<float>(columns(), height(p), count, 1.0f, {x, columns(), true}, {y + p * kPanel, rows()}, 1.0f, state_->at(p),
                kPanel);
  state_->refresh(p, 0, columns());
}

void PackedMatrix::add(Index p, float factor, const RowSource& a, float* scratch) {
  for (Index first = 0; first < height(p); first += kRowsAtATime) {
    const Index count = std::min(kRowsAtATime, height(p) - first);
    transpose(a(p * kPanel + first, count, scratch), columns(), count, columns(), state_->at(p) + first, kPanel,
              [factor](const auto& sum, const auto& value) { return sum + factor * value; });
  }
  state_->refresh(p, 0, columns());
}

Index panel_scratch(Index count, Index columns) {
  return kRowsAtATime * columns + (round_up(columns, kFloatGroup) + count) * kPanel;
}

void multiply_panel(Index count, Index height, Index columns, float factor, const float* x, const RowSource& a,
                    float* y, Index y_stride, bool accumulate, float* scratch) {
  float* panel = scratch;  // aligned, as scratch is
  float* product = panel + round_up(columns, kFloatGroup) * kPanel;
  float* rows = product + count * kPanel;
  if (height < kPanel) std::fill_n(panel, columns * kPanel, 0.0f);
  std::fill(panel + columns * kPanel, product, 0.0f);
  for (Index first = 0; first < height; first += kRowsAtATime) {
    const Index some = std::min(kRowsAtATime, height - first);
    transpose(a(first, some, rows), columns, some, columns, panel + first, kPanel,
              [](const auto&, const auto& value) { return value; });
  }
  Products* products = panel_products(columns);
  if (!products) {
    return matmul<float>(count, height, columns, factor, {x, columns}, {panel, kPanel}, accumulate ? 1.0f : 0.0f, y,
                         y_stride);
  }
  products->run(kPanel, count, x, panel, product, kPanel);
  for (Index r = 0; r < count; ++r) {
    float* to = y + r * y_stride;
    const float* from = product + r * kPanel;
    for (Index i = 0; i < height; ++i) to[i] = (accumulate ? to[i] : 0.0f) + factor * from[i];
  }
}

}  // namespace slopewise
