// oneDNN's matmul primitive, for AVX-512 and AMX: products with weights in panels, in float and bfloat16, and plain
// products of floats. Its sgemm, which it falls back to elsewhere, is not for us: a signal that arrives while it runs
// corrupts memory.
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <list>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/tensor/buffer.hpp"
#include "slopewise/tensor/products/panels.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

constexpr Index kPanel = PanelBackend::kPanel;
// Multiply-adds from which a plain product gains more than the 2 µs that a primitive's call costs, and the extent of
// the result's shorter side up to which OpenBLAS is quicker.
constexpr Index kFewestMultiplyAdds = Index{1} << 18;
constexpr Index kNarrow = 16;
// Products that a thread keeps ready; the one that was not used for longest makes room.
constexpr std::size_t kMostMade = 512;

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

// C (+)= A B with A (m, k), B (k, n), C (m, n), all contiguous.
struct Extents {
  Type type = Type::f32;  // of A and B; C is float
  bool a_transposed = false, b_transposed = false;
  bool b_in_panels = false;  // Bᵀ is a weight matrix in panels of 64 rows
  bool accumulate = false;
  Index m = 0, n = 0, k = 0;

  auto operator<=>(const Extents&) const = default;
};

dnnl::matmul::primitive_desc describe(const Extents& of, const Desc& b) {
  const OneThread one_thread;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // the library's own is not safe across threads
  if (of.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const Desc a({of.m, of.k}, of.type, of.a_transposed ? Tag::ba : Tag::ab);
  const Desc c({of.m, of.n}, Type::f32, Tag::ab);
  return {dnnl::matmul::desc(a, b, c), attributes, engine()};
}
// What oneDNN would choose for W and a typical number of rows of x; every product then takes it as given.
dnnl::matmul::primitive_desc describe_typical(Index rows, Index columns, Type type) {
  return describe({.type = type, .m = kPanel, .n = rows, .k = columns}, Desc({columns, rows}, type, Tag::any));
}

// Whether the weights that oneDNN chose lie in our panels.
bool in_panels(const dnnl_memory_desc_t& has, Index columns, Type type) {
  const bool halves = type == Type::bf16;
  const Index group = halves ? PanelBackend::kBfloatGroup : PanelBackend::kFloatGroup;
  const dnnl_blocking_desc_t& blocks = has.format_desc.blocking;
  if (has.ndims != 2 || has.format_kind != dnnl_blocked) return false;
  // Outermost to innermost: panels, groups of 16 (pairs of) columns, the columns of a group, 64 rows, pairs.
  constexpr std::array<Index, 3> kBlocks{16, kPanel, 2}, kDimensions{0, 1, 0};
  if (blocks.inner_nblks != (halves ? 3 : 2)) return false;
  for (int i = 0; i < blocks.inner_nblks; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (blocks.inner_blks[i] != kBlocks[at] || blocks.inner_idxs[i] != kDimensions[at]) return false;
  }
  return blocks.strides[0] == group * kPanel && blocks.strides[1] == round_up(columns, group) * kPanel;
}

// A product made ready for one thread, with the objects that say where its operands are: making those anew would cost
// four times as much as the rest of a call.
class Made {
 public:
  explicit Made(const dnnl::matmul::primitive_desc& desc)
      : product_(desc),
        memories_{
            dnnl::memory(desc.src_desc(), engine(), nullptr), dnnl::memory(desc.weights_desc(), engine(), nullptr),
            dnnl::memory(desc.dst_desc(), engine(), nullptr), dnnl::memory(desc.scratchpad_desc(), engine(), nullptr)},
        scratch_bytes_(static_cast<Index>(desc.scratchpad_desc().get_size())) {
    constexpr int kRoles[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};
    for (std::size_t i = 0; i < memories_.size(); ++i) arguments_[i] = {kRoles[i], memories_[i].get()};
  }

  void run(const void* a, const void* b, float* c) {
    thread_local Buffer<std::byte> scratch;
    if (scratch.size() < scratch_bytes_) scratch = Buffer<std::byte>(scratch_bytes_);
    memories_[0].set_data_handle(const_cast<void*>(a));
    memories_[1].set_data_handle(const_cast<void*>(b));
    memories_[2].set_data_handle(c);
    memories_[3].set_data_handle(scratch.data());
    const OneThread one_thread;
    dnnl::error::wrap_c_api(
        dnnl_primitive_execute(product_.get(), stream().get(), static_cast<int>(arguments_.size()), arguments_.data()),
        "cannot multiply");
    stream().wait();
  }

 private:
  dnnl::matmul product_;
  std::array<dnnl::memory, 4> memories_;
  std::array<dnnl_exec_arg_t, 4> arguments_;
  Index scratch_bytes_;
};

// Nothing where oneDNN would read weights of these extents in another layout than panels.
std::optional<Made> make(const Extents& of) {
  Desc b({of.k, of.n}, of.type, of.b_transposed ? Tag::ba : Tag::ab);
  if (of.b_in_panels) {
    b = describe_typical(of.n, of.k, of.type).weights_desc();
    if (!in_panels(b.data, of.k, of.type)) return std::nullopt;
  }
  const OneThread one_thread;
  return Made(describe(of, b));
}

// The products that a thread has made, bounded: shapes change with batches and models for as long as a process lives.
// What it makes costs little where another thread has made the like, as oneDNN keeps the code of some hundred of them.
class MadeProducts {
 public:
  std::optional<Made>& get(const Extents& of) {
    const auto found = places_.find(of);
    if (found != places_.end()) {
      made_.splice(made_.begin(), made_, found->second);
      return found->second->second;
    }
    made_.emplace_front(of, make(of));
    places_.emplace(of, made_.begin());
    if (made_.size() > kMostMade) {
      places_.erase(made_.back().first);
      made_.pop_back();
    }
    return made_.front().second;
  }

 private:
  using Entry = std::pair<Extents, std::optional<Made>>;
  std::list<Entry> made_;  // the one used last first
  std::map<Extents, std::list<Entry>::iterator> places_;
};

// False, and nothing done, where oneDNN has no such product.
bool run(const Extents& of, const void* a, const void* b, float* c) {
  thread_local MadeProducts products;
  std::optional<Made>& made = products.get(of);
  if (made) made->run(a, b, c);
  return made.has_value();
}

// The operand without gaps between its `rows` rows of `columns` entries, in `copy` if need be.
const float* contiguous(const Operand<float>& operand, Index rows, Index columns, Buffer<float>& copy) {
  if (operand.transposed) std::swap(rows, columns);
  if (operand.stride == columns || rows == 1) return operand.data;
  if (copy.size() < rows * columns) copy = Buffer<float>(rows * columns);
  for (Index r = 0; r < rows; ++r) std::copy_n(operand.data + r * operand.stride, columns, copy.data() + r * columns);
  return copy.data();
}

class DnnlProducts final : public PanelBackend {
 public:
  DnnlProducts() : float_kernels_(kernels_of(Type::f32)), bfloat16_kernels_(kernels_of(Type::bf16)) {}

  std::string name() const override {
    const dnnl_version_t& version = *dnnl::version();
    return fmt::format("oneDNN {}.{}.{}", version.major, version.minor, version.patch);
  }
  std::string kernels() const override {
    if (float_kernels_.empty() || bfloat16_kernels_.empty()) return float_kernels_;
    return float_kernels_ + ", " + bfloat16_kernels_;
  }

  bool takes(const PlainProduct<float>& p) const override {
    return std::min(p.m, p.n) > kNarrow && p.m * p.n * p.k >= kFewestMultiplyAdds;
  }
  void multiply(const PlainProduct<float>& p) const override {
    thread_local Buffer<float> a_copy, b_copy, result;
    const float* a = contiguous(p.a, p.m, p.k, a_copy);
    const float* b = contiguous(p.b, p.k, p.n, b_copy);
    Extents of{.a_transposed = p.a.transposed, .b_transposed = p.b.transposed, .m = p.m, .n = p.n, .k = p.k};
    if (p.c_stride == p.n && p.alpha == 1 && (p.beta == 0 || p.beta == 1)) {
      of.accumulate = p.beta == 1;
      run(of, a, b, p.c);
      return;
    }
    if (result.size() < p.m * p.n) result = Buffer<float>(p.m * p.n);
    run(of, a, b, result.data());
    for (Index r = 0; r < p.m; ++r) {
      float* row = p.c + r * p.c_stride;
      for (Index i = 0; i < p.n; ++i)  // what is there may be anything where beta is 0
        row[i] = (p.beta == 0 ? 0.0f : p.beta * row[i]) + p.alpha * result[r * p.n + i];
    }
  }

  bool has_bfloat16() const override { return !bfloat16_kernels_.empty(); }
  void multiply_panels(Index rows, Index columns, Index count, const float* x, const float* panels, float* y,
                       bool accumulate) const override {
    const Extents of{.b_in_panels = true, .accumulate = accumulate, .m = count, .n = rows, .k = columns};
    if (run(of, x, panels, y)) return;
    static_cast<const PanelBackend&>(openblas_products())
        .multiply_panels(rows, columns, count, x, panels, y, accumulate);
  }
  void multiply_panels(Index rows, Index columns, Index count, const Bfloat16* x, const Bfloat16* panels, float* y,
                       bool accumulate) const override {
    const Extents of{
        .type = Type::bf16, .b_in_panels = true, .accumulate = accumulate, .m = count, .n = rows, .k = columns};
    if (!run(of, x, panels, y))
      throw Error(fmt::format("oneDNN reads other weights in bfloat16, but not {} × {}: use float32", rows, columns));
  }

 private:
  // The kernel of products with weights in panels; empty where there is none.
  static std::string kernels_of(Type type) {
    try {
      const auto typical = describe_typical(kPanel, PanelBackend::kBfloatGroup, type);
      const std::string name = typical.impl_info_str();
      if (in_panels(typical.weights_desc().data, PanelBackend::kBfloatGroup, type)) return name;
    } catch (const dnnl::error&) {  // no product of this type at all
    }
    return "";
  }

  std::string float_kernels_, bfloat16_kernels_;
};

}  // namespace

const ProductBackend& dnnl_products() {
  static const DnnlProducts products;
  return products;
}

}  // namespace slopewise
