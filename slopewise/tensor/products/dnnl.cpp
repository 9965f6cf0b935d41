// oneDNN for AVX-512 and AMX: its matmul primitive for products with weights in panels, in float and bfloat16, and
// plain products of floats; its convolutions (dnnl_convolution.hpp). Its sgemm, which it falls back to elsewhere, is
// not for us: a signal that arrives while it runs corrupts memory.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <compare>
#include <optional>
#include <string_view>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/tensor/buffer.hpp"
#include "slopewise/tensor/products/dnnl_convolution.hpp"
#include "slopewise/tensor/products/dnnl_primitive.hpp"
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
  return {dnnl::matmul::desc(a, b, c), attributes, dnnl_engine()};
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

// Nothing where oneDNN would read weights of these extents in another layout than panels.
std::optional<ReadyPrimitive> make(const Extents& of) {
  Desc b({of.k, of.n}, of.type, of.b_transposed ? Tag::ba : Tag::ab);
  if (of.b_in_panels) {
    b = describe_typical(of.n, of.k, of.type).weights_desc();
    if (!in_panels(b.data, of.k, of.type)) return std::nullopt;
  }
  const OneThread one_thread;
  const dnnl::matmul::primitive_desc desc = describe(of, b);
  return ReadyPrimitive(
      dnnl::matmul(desc),
      {{DNNL_ARG_SRC, desc.src_desc()}, {DNNL_ARG_WEIGHTS, desc.weights_desc()}, {DNNL_ARG_DST, desc.dst_desc()}},
      desc.scratchpad_desc());
}

// False, and nothing done, where oneDNN has no such product.
bool run(const Extents& of, const void* a, const void* b, float* c) {
  thread_local ReadyPrimitives<Extents, std::optional<ReadyPrimitive>> products;
  std::optional<ReadyPrimitive>& made = products.get(of, make);
  if (made) made->run({a, b, c});
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

  Index filter_block(const Convolution& of) const override { return dnnl_filter_block(of); }
  void convolve(const Convolution& of, const float* filters, const float* x, bool accumulate, float* y) const override {
    dnnl_convolve(of, filters, x, accumulate, y);
  }
  Index filter_gradient_scratch(const Convolution& of, Index images) const override {
    return dnnl_filter_gradient_scratch(of, images);
  }
  void filter_gradient(const Convolution& of, Index images, const float* x, const float* cotangent, float* gradient,
                       float* scratch) const override {
    dnnl_filter_gradient(of, images, x, cotangent, gradient, scratch);
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
