// linear: y = W x + b over the last axis.
//   ẏ = W ẋ + V x + ḃ,  ÿ = W ẍ + 2 V ẋ + Ẅ x + b̈,  with V = Ẇ; for V = u wᵀ the product V x is u (w · x).
//   x̄ = Wᵀ ȳ,  W̄ = Σ ȳ xᵀ,  b̄ = Σ ȳ.
// [x; ẋ_1 … ẋ_K; ẍ_1 … ẍ_K] go through W in one product.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Products are cut into pieces of these fixed sizes, which run in parallel where one tile is all there is: of output
// units for weight gradients and dense tangents, of rows for the weights themselves.
constexpr Index kUnitsAPiece = 64;
Index rows_a_piece(Index rows) {
  return std::max<Index>(64, (rows + 31) / 32 * 8);
}

class Linear final : public OpRules<Linear> {
 public:
  static constexpr std::string_view kName = "linear";

  explicit Linear(const Shape& weight) {
    if (weight.rank() != 2 || weight[0] < 1) {
      throw ShapeError(
          fmt::format("linear: expected a weight (out, in) with at least one output, found {}", weight.to_string()));
    }
    outputs_ = weight[0];
    inputs_ = weight[1];
  }

  Shape shape(std::span<const InputInfo> in) const override {
    const Shape& x = in[0].shape;
    if (x.rank() < 1 || x[-1] != inputs_ || !in[1].shared) {
      throw ShapeError(
          fmt::format("linear: expected x (…, in) and a weight (out, in) shared by all examples, found {} and {}{}",
                      x.to_string(), in[1].shape.to_string(), in[1].shared ? "" : ", one an example"));
    }
    if (in.size() > 2 && (in[2].shape != Shape{outputs_} || !in[2].shared)) {
      throw ShapeError(
          fmt::format("linear: expected a bias of shape ({}), found {}", outputs_, in[2].shape.to_string()));
    }
    std::vector<Index> extents = x.extents();
    extents.back() = outputs_;
    return Shape(extents);
  }

  OpCost cost(std::span<const InputInfo> in, const Shape& out) const override {
    const double product = 2 * static_cast<double>(inputs_) * static_cast<double>(out.size());
    const double structured = product / static_cast<double>(outputs_) + 2 * static_cast<double>(out.size());
    return {.value = product,
            .tangent = (in[0].active ? product : 0) + (in[1].active ? (in[1].rank_one ? structured : product) : 0),
            .pullback = product * (in[0].active + in[1].active)};
  }
  bool curves(std::span<const InputInfo> in) const override { return in[0].active && in[1].active; }
  bool takes_rank_one(std::size_t input) const override { return input == 1; }
  bool takes_packed(std::size_t input) const override { return input == 1; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& weight = visit.in[1];
    const Jet<T>& y = visit.out;
    const Sizes size = sizes(y.rows, y.size);
    const Index tangents = x.tangent ? visit.tangents : 0;
    const Index seconds = x.second ? visit.tangents : 0;
    const Index x_entries = size.rows * size.inputs;
    const Index y_entries = size.rows * size.outputs;

    const bool stacked =
        (!x.tangent || x.tangent == x.value + x_entries) && (!x.second || x.second == x.tangent + tangents * x_entries);
    if (stacked) {
      through(weight, (1 + tangents + seconds) * size.rows, size, x.value, y.value);
    } else {
      through(weight, size.rows, size, x.value, y.value);
      if (x.tangent) through(weight, tangents * size.rows, size, x.tangent, y.tangent);
      if (x.second) through(weight, seconds * size.rows, size, x.second, y.second);
    }
    const Jet<T>* bias = visit.in.size() > 2 ? &visit.in[2] : nullptr;
    if (bias) add_to_rows(bias->value, y.value, size);

    for (Index k = 0; k < visit.tangents; ++k) {
      T* y_dot = y.tangent + k * y_entries;
      if (!x.tangent) std::fill_n(y_dot, y_entries, T{0});
      add_weight_tangent(weight, k, size, T{1}, x.value, y_dot);
      if (bias && bias->tangent) add_to_rows(bias->tangent + k * size.outputs, y_dot, size);
      if (!y.second) continue;
      T* y_second = y.second + k * y_entries;
      if (!x.second) std::fill_n(y_second, y_entries, T{0});
      if (x.tangent) add_weight_tangent(weight, k, size, T{2}, x.tangent + k * x_entries, y_second);
      if (weight.second) add_product(weight.second + k * size.outputs * size.inputs, size, T{1}, x.value, y_second);
      if (bias && bias->second) add_to_rows(bias->second + k * size.outputs, y_second, size);
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& weight = visit.in[1];
    const Sizes size = sizes(visit.out.rows, visit.out.size);
    const T* c = visit.cotangent;
    if (const Cotangent<T>& target = visit.in_cotangents[0]) {
      matmul<T>(size.rows, size.inputs, size.outputs, T{1}, {c, size.outputs}, {weight.value, size.inputs},
                target.accumulate ? T{1} : T{0}, target.data, size.inputs);
    }
    if (const Cotangent<T>& target = visit.in_cotangents[1]) {
      parallel_for((size.outputs + kUnitsAPiece - 1) / kUnitsAPiece, [&](Index piece) {
        const Index first = piece * kUnitsAPiece;
        matmul<T>(std::min(kUnitsAPiece, size.outputs - first), size.inputs, size.rows, T{1},
                  {c + first, size.outputs, true}, {x.value, size.inputs}, target.accumulate ? T{1} : T{0},
                  target.data + first * size.inputs, size.inputs);
      });
    }
    if (visit.in.size() < 3) return;
    if (const Cotangent<T>& target = visit.in_cotangents[2]) {
      if (!target.accumulate) std::fill_n(target.data, size.outputs, T{0});
      for (Index r = 0; r < size.rows; ++r) axpy(T{1}, c + r * size.outputs, target.data, size.outputs);
    }
  }

 private:
  struct Sizes {
    Index rows, inputs, outputs;  // of the products; rows: examples times leading axes
  };
  Sizes sizes(Index rows, Index y_size) const {
    return {.rows = rows * (y_size / outputs_), .inputs = inputs_, .outputs = outputs_};
  }

  // y = x Wᵀ.
  template <class T>
  static void through(const Jet<T>& weight, Index rows, const Sizes& size, const T* x, T* y) {
    const Index piece_rows = rows_a_piece(rows);
    parallel_for((rows + piece_rows - 1) / piece_rows, [&](Index piece) {
      const Index first = piece * piece_rows;
      const Index count = std::min(piece_rows, rows - first);
      const T* from = x + first * size.inputs;
      T* to = y + first * size.outputs;
      if (weight.packed) {
        weight.packed->multiply(count, from, to);
      } else {
        matmul<T>(count, size.outputs, size.inputs, T{1}, {from, size.inputs}, {weight.value, size.inputs, true}, T{0},
                  to, size.outputs);
      }
    });
  }

  // y += factor x Aᵀ.
  template <class T>
  static void add_product(const T* a, const Sizes& size, T factor, const T* x, T* y) {
    parallel_for((size.outputs + kUnitsAPiece - 1) / kUnitsAPiece, [&](Index piece) {
      const Index first = piece * kUnitsAPiece;
      matmul<T>(size.rows, std::min(kUnitsAPiece, size.outputs - first), size.inputs, factor, {x, size.inputs},
                {a + first * size.inputs, size.inputs, true}, T{1}, y + first, size.outputs);
    });
  }

  // y += factor x V_kᵀ.
  template <class T>
  static void add_weight_tangent(const Jet<T>& weight, Index k, const Sizes& size, T factor, const T* x, T* y) {
    if (weight.tangent) add_product(weight.tangent + k * size.outputs * size.inputs, size, factor, x, y);
    if (!weight.rank_one.left) return;
    const T* left = weight.rank_one.left + k * size.outputs;
    const T* right = weight.rank_one.right + k * size.inputs;
    for (Index r = 0; r < size.rows; ++r) {
      axpy(factor * dot(right, x + r * size.inputs, size.inputs), left, y + r * size.outputs, size.outputs);
    }
  }

  template <class T>
  static void add_to_rows(const T* row, T* y, const Sizes& size) {
    for (Index r = 0; r < size.rows; ++r) axpy(T{1}, row, y + r * size.outputs, size.outputs);
  }

  Index outputs_, inputs_;
};

}  // namespace

Node linear(const Node& x, const Node& weight, const Node& bias) {
  return Builder(x).apply(std::make_shared<Linear>(weight.shape()), {x, weight, bias});
}
Node linear(const Node& x, const Node& weight) {
  return Builder(x).apply(std::make_shared<Linear>(weight.shape()), {x, weight});
}

Node linear(const Node& x, Index outputs, bool bias) {
  if (x.shape().rank() < 1 || outputs < 1) {
    throw ShapeError(fmt::format("linear: expected x (…, in) and at least one output, found {} and {}",
                                 x.shape().to_string(), outputs));
  }
  Builder build(x);
  const std::string name = x.graph()->numbered("linear");
  const Index inputs = x.shape()[-1];
  const Initializer he{
      .kind = Initializer::Kind::kHe, .fan_in = static_cast<double>(inputs), .fan_out = static_cast<double>(outputs)};
  const Node weight = build.parameter(name + ".weight", {outputs, inputs}, he, outputs);
  return bias ? linear(x, weight, build.bias(name + ".bias", weight)) : linear(x, weight);
}

}  // namespace slopewise
