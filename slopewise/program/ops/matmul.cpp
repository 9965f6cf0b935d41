// matmul: y = a b for matrices, one for each place of the leading axes, which are broadcast.
//   ā = ȳ bᵀ,  b̄ = aᵀ ȳ, summed over the places that read the same matrix; forward as any bilinear op.
// A transposed operand is read as it lies.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/bilinear.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/matmul.hpp"

namespace slopewise {
namespace {

// One operand as it lies, and which of its matrices each place of the result reads.
struct Matrices {
  Index rows = 0, columns = 0;  // as they lie
  bool transposed = false;
  std::vector<Index> starts;  // one a place, in entries
  std::vector<bool> first;    // whether no place before reads this matrix

  Index size() const { return rows * columns; }
  // Whether all places read one matrix.
  bool single() const {
    return std::all_of(starts.begin(), starts.end(), [](Index start) { return start == 0; });
  }
  template <class T>
  Operand<T> operand(const T* data) const {
    return {data, columns, transposed};
  }
};

class MatMul final : public OpRules<MatMul> {
 public:
  static constexpr std::string_view kName = "matmul";
  MatMul(const Shape& a, const Shape& b, MatMulOptions options) {
    const auto refuse = [&] {
      throw ShapeError(
          fmt::format("matmul: expected (…, m, k) and (…, k, n) with leading axes that are equal, 1 or "
                      "absent, found {}{} and {}{}",
                      a.to_string(), options.transpose_a ? " transposed" : "", b.to_string(),
                      options.transpose_b ? " transposed" : ""));
    };
    if (a.rank() < 2 || b.rank() < 2) refuse();
    a_ = {.rows = a[-2], .columns = a[-1], .transposed = options.transpose_a, .starts = {}, .first = {}};
    b_ = {.rows = b[-2], .columns = b[-1], .transposed = options.transpose_b, .starts = {}, .first = {}};
    m_ = options.transpose_a ? a[-1] : a[-2];
    k_ = options.transpose_a ? a[-2] : a[-1];
    n_ = options.transpose_b ? b[-2] : b[-1];
    if (k_ != (options.transpose_b ? b[-1] : b[-2])) refuse();
    const Index leading = std::max(a.rank(), b.rank()) - 2;
    std::vector<Index> extents;
    for (Index axis = 0; axis < leading; ++axis) {
      const Index of_a = extent(a, axis, leading), of_b = extent(b, axis, leading);
      if (of_a != of_b && of_a != 1 && of_b != 1) refuse();
      extents.push_back(of_a == 1 ? of_b : of_a);
    }
    place(a_, a, extents);
    place(b_, b, extents);
    extents.push_back(m_);
    extents.push_back(n_);
    shape_ = Shape(extents);
    // Rows of a that are multiplied by the same matrix lie together: one product.
    together_ = !a_.transposed && b_.single() && a.size() == places() * a_.size();
  }

  Shape shape(std::span<const InputInfo>) const override { return shape_; }
  OpCost cost(std::span<const InputInfo> in, const Shape& out) const override {
    const double product = 2 * static_cast<double>(out.size()) * static_cast<double>(k_);
    return {.value = product,
            .tangent = product * (in[0].active + in[1].active),
            .pullback = product * (in[0].active + in[1].active)};
  }
  bool curves(std::span<const InputInfo> in) const override { return bilinear_curves(in); }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    const Index rows = visit.out.rows;
    push_bilinear(visit, [&](const T* p, const T* q, T factor, bool accumulate, T* y) {
      const T beta = accumulate ? T{1} : T{0};
      if (all_together(a, b, rows)) {
        return matmul<T>(rows * places() * m_, n_, k_, factor, a_.operand(p), b_.operand(q), beta, y, n_);
      }
      for (Index r = 0; places() > 0 && r < rows; ++r) {
        each_product([&](Index place, Index count) {
          const auto at = static_cast<std::size_t>(place);
          matmul<T>(count * m_, n_, k_, factor, a_.operand(p + a.row(r) + a_.starts[at]),
                    b_.operand(q + b.row(r) + b_.starts[at]), beta, y + r * visit.out.size + place * m_ * n_, n_);
        });
      }
    });
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    if (places() == 0) return clear(visit);
    const bool whole = all_together(a, b, visit.out.rows);
    for (Index r = 0; r < (whole ? 1 : visit.out.rows); ++r) {
      each_product([&](Index place, Index products) {
        const auto at = static_cast<std::size_t>(place);
        const Index count = whole ? visit.out.rows * products : products;
        const T* c = visit.cotangent + r * visit.out.size + place * m_ * n_;
        const auto beta = [&](const Cotangent<T>& target, const Jet<T>& in, const Matrices& matrices) {
          return target.accumulate || (in.shared() && r > 0) || !matrices.first[at] ? T{1} : T{0};
        };
        if (const Cotangent<T>& target = visit.in_cotangents[0]) {
          T* to = target.data + a.row(r) + a_.starts[at];
          Operand<T> right = b_.operand(static_cast<const T*>(b.value_row(r) + b_.starts[at]));
          if (a_.transposed) {
            matmul<T>(k_, m_, n_, T{1}, right, {c, n_, true}, beta(target, a, a_), to, m_);
          } else {
            right.transposed = !right.transposed;
            matmul<T>(count * m_, k_, n_, T{1}, {c, n_}, right, beta(target, a, a_), to, k_);
          }
        }
        if (const Cotangent<T>& target = visit.in_cotangents[1]) {
          T* to = target.data + b.row(r) + b_.starts[at];
          Operand<T> left = a_.operand(static_cast<const T*>(a.value_row(r) + a_.starts[at]));
          if (b_.transposed) {
            matmul<T>(n_, k_, count * m_, T{1}, {c, n_, true}, left, beta(target, b, b_), to, k_);
          } else {
            left.transposed = !left.transposed;
            matmul<T>(k_, n_, count * m_, T{1}, left, {c, n_}, beta(target, b, b_), to, n_);
          }
        }
      });
    }
  }

 private:
  Index places() const { return static_cast<Index>(a_.starts.size()); }

  // Whether all rows of a, of all examples, meet one matrix.
  template <class T>
  bool all_together(const Jet<T>& a, const Jet<T>& b, Index rows) const {
    return together_ && b.shared() && a.rows == rows;
  }
  // Cotangents of what no place reads.
  template <class T>
  static void clear(const Pull<T>& visit) {
    for (std::size_t i = 0; i < 2; ++i) {
      const Cotangent<T>& target = visit.in_cotangents[i];
      if (target && !target.accumulate) std::fill_n(target.data, visit.in[i].rows * visit.in[i].size, T{0});
    }
  }
  // Calls visit(first place, count) for the places that one product serves.
  template <class F>
  void each_product(F visit) const {
    if (together_) return visit(Index{0}, places());
    for (Index place = 0; place < places(); ++place) visit(place, Index{1});
  }

  // Of the leading axis `axis` of `count`, counted from the last; 1 where the shape has none.
  static Index extent(const Shape& shape, Index axis, Index count) {
    const Index own = axis - (count - (shape.rank() - 2));
    return own < 0 ? 1 : shape[own];
  }

  static void place(Matrices& matrices, const Shape& shape, const std::vector<Index>& extents) {
    const auto leading = static_cast<Index>(extents.size());
    for (Index place = 0; place < Shape(extents).size(); ++place) {
      Index rest = place, stride = matrices.size(), start = 0;
      bool first = true;
      for (Index axis = leading; axis-- > 0;) {
        const Index at = rest % extents[axis];
        rest /= extents[axis];
        const Index own = extent(shape, axis, leading);
        if (own > 1) start += at * stride;
        first = first && (own > 1 || at == 0);
        stride *= own;
      }
      matrices.starts.push_back(start);
      matrices.first.push_back(first);
    }
  }

  Matrices a_, b_;
  Index m_ = 0, k_ = 0, n_ = 0;
  Shape shape_;
  bool together_ = false;
};

}  // namespace

Node matmul(const Node& a, const Node& b, MatMulOptions options) {
  return Builder(a).apply(std::make_shared<MatMul>(a.shape(), b.shape(), options), {a, b});
}

std::vector<OpEntry> matmul_examples() {
  std::vector<OpEntry> ops;
  const MatMulOptions left{.transpose_a = true}, right{.transpose_b = true};
  ops.push_back({"matmul",
                 {{"both one an example",
                   {6},
                   [](const Node& x) {
                     return matmul(reshape(x, {2, 3}), reshape(square(x), {3, 2}));
                   }},
                  {"shared right side",
                   {2, 3},
                   [](const Node& x) {
                     return matmul(x, shared(x, "b", {3, 4}, 3));
                   }},
                  {"shared left side",
                   {3, 2},
                   [](const Node& x) {
                     return matmul(shared(x, "a", {4, 3}, 4), square(x));
                   }},
                  {"both shared",
                   {2},
                   [](const Node& x) {
                     return mul(matmul(shared(x, "a", {3, 3}, 3), shared(x, "b", {3, 2}, 3)), x);
                   }},
                  {"right side transposed", {2, 3, 4}, [=](const Node& x) { return matmul(x, square(x), right); }},
                  {"left side transposed", {2, 3, 4}, [=](const Node& x) { return matmul(square(x), x, left); }},
                  {"both transposed",
                   {3, 4},
                   [](const Node& x) {
                     return matmul(x, reshape(square(x), {4, 3}), {.transpose_a = true, .transpose_b = true});
                   }},
                  {"one right side for all places, shared",
                   {2, 2, 3},
                   [=](const Node& x) {
                     return matmul(x, shared(x, "b", {4, 3}, 3), right);
                   }},
                  {"one right side for all places, of each example",
                   {2, 3, 3},
                   [](const Node& x) { return matmul(x, slice(square(x), 0, 1, 2)); }},
                  {"one left side for all places",
                   {2, 3, 4},
                   [](const Node& x) {
                     return matmul(shared(x, "a", {2, 3}, 2), x);
                   }},
                  {"transposed left side, one right side",
                   {2, 3, 2},
                   [=](const Node& x) {
                     return matmul(x, shared(x, "b", {3, 2}, 3), left);
                   }},
                  {"leading axes against each other",
                   {2, 1, 3, 2},
                   [](const Node& x) {
                     return matmul(x, reshape(square(x), {1, 2, 2, 3}));
                   }},
                  {"nothing to sum",
                   {2, 0},
                   [](const Node& x) {
                     return matmul(x, shared(x, "b", {0, 3}, 1));
                   }},
                  {"no places",
                   {0, 2, 2},
                   [](const Node& x) {
                     return matmul(x, shared(x, "b", {2, 2}, 2));
                   }},
                  {"one entry", {1, 1}, [](const Node& x) { return matmul(x, x); }}}});
  return ops;
}

}  // namespace slopewise
