// linear: y = W x + b over the last axis.
//   ẏ = W ẋ + V x + ḃ,  ÿ = W ẍ + 2 V ẋ + Ẅ x + b̈,  with V = Ẇ; for V = u wᵀ the product V x is u (w · x).
//   x̄ = Wᵀ ȳ,  W̄ = Σ ȳ xᵀ,  b̄ = Σ ȳ.
// [x; ẋ_1 … ẋ_K; ẍ_1 … ẍ_K] go through W in one product.
#include <fmt/format.h>

#include <type_traits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// A visit that is alone is cut into pieces of fixed sizes for the threads: of output units, so that each thread reads
// and later updates weights of its own, and then of rows.
constexpr Index kUnitsAPiece = kRowsUsedOnce;
constexpr Index kRowsAPiece = 8;
constexpr Index kRowsBack = 32;
// From this many output units on, weights outweigh what the threads must tell each other.
constexpr Index kWide = 512;

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
  std::optional<NarrowOp> narrowed(std::span<const InputInfo> in, const Shape& out, const Range& at) const override {
    if (at.axis == out.rank() - 1) return {};
    NarrowOp narrow{.op = nullptr, .axes = std::vector<Index>(in.size(), -1)};
    narrow.axes[0] = at.axis;
    return narrow;
  }

  OpCost cost(std::span<const InputInfo> in, const Shape& out) const override {
    const double product = 2 * static_cast<double>(inputs_) * static_cast<double>(out.size());
    const double structured = product / static_cast<double>(outputs_) + 2 * static_cast<double>(out.size());
    return {.value = product,
            .tangent = (in[0].active ? product : 0) + (in[1].active ? (in[1].rank_one ? structured : product) : 0),
            .pullback = product * (in[0].active + in[1].active)};
  }
  bool curves(std::span<const InputInfo> in) const override { return in[0].active && in[1].active; }
  OpTraits traits() const override { return {.finishes_rows = true, .cuts_itself = true, .wide = outputs_ >= kWide}; }
  InputTraits takes(std::size_t input) const override {
    const bool weight = input == 1;
    return {.rank_one = weight, .drawn = weight, .packed = weight, .updated_in_place = input >= 1};
  }
  // The rows in bfloat16; for each thread, a piece of V and what its product needs.
  Index scratch(std::span<const InputInfo> in, const Shape& out, const VisitSize& visit) const override {
    if (visit.pullback) return 0;
    const Index rows = visit.rows * out.size() / outputs_;
    Index entries = 0;
    if (visit.precision != Precision::kFloat32)
      entries = bfloat16_scratch(low_planes(visit, in[0].active) * rows * inputs_);
    if (in[1].active && !in[1].rank_one) entries += visit.threads * piece_scratch(sizes(visit.rows, out.size()));
    return entries;
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& weight = visit.in[1];
    const Jet<T>& y = visit.out;
    const Jet<T>* bias = visit.in.size() > 2 ? &visit.in[2] : nullptr;
    const Sizes size = sizes(y.rows, y.size);
    T* scratch = visit.scratch;

    // [x; ẋ_1 … ẋ_K; ẍ_1 … ẍ_K] go through W together where they lie together.
    const Index x_entries = size.rows * size.inputs;
    const Index parts = 1 + (x.tangent ? visit.tangents : 0) + (x.second ? visit.tangents : 0);
    const bool stacked = (!x.tangent || (x.tangent == x.value + x_entries && x.plane == x_entries)) &&
                         (!x.second || x.second == x.tangent + visit.tangents * x_entries);
    const bool low = visit.precision != Precision::kFloat32;
    if (stacked && !low) {
      through(visit, parts * size.rows, size, x.value, y.value);
    } else {
      if (visit.precision != Precision::kBfloat16) through(visit, size.rows, size, x.value, y.value);
      for (Index k = 0; k < visit.tangents; ++k) {
        if (x.tangent && !low) through(visit, size.rows, size, x.tangent + k * x.plane, y.tangent + k * y.plane);
        if (x.second) through(visit, size.rows, size, x.second + k * x.plane, y.second + k * y.plane);
      }
    }
    if constexpr (std::is_same_v<T, float>) {
      if (low) {
        through_bfloat16(visit, size, reinterpret_cast<Bfloat16*>(scratch));
        scratch += bfloat16_scratch(low_planes(visit, x.tangent != nullptr) * x_entries);
      }
    }

    // The part of V that is a matrix, by output units; the rest row by row.
    for (Index k = 0; k < visit.tangents; ++k) {
      if (weight.tangent || weight.drawn.fill) {
        add_weight_tangent(visit, k, size, T{1}, x.value, y.tangent + k * y.plane, x.tangent != nullptr, scratch);
      }
      if (!y.second) continue;
      T* y_second = y.second + k * y.plane;
      bool written = x.second != nullptr;
      if (x.tangent && (weight.tangent || weight.drawn.fill)) {
        add_weight_tangent(visit, k, size, T{2}, x.tangent + k * x.plane, y_second, written, scratch);
        written = true;
      }
      if (weight.second) {
        add_product(
            weight.second + k * weight.plane, [](Index, std::span<T>) {}, visit.alone, size, T{1}, x.value, y_second,
            written, scratch);
        written = true;
      }
      if (!written) std::fill_n(y_second, size.rows * size.outputs, T{0});
    }
    const Index leading = size.rows / y.rows;  // rows of the products in one row of y
    const Index piece = visit.alone ? kRowsAPiece : std::max<Index>(y.rows, 1);
    parallel_for((y.rows + piece - 1) / piece,
                 [&](Index p) {
                   for (Index r = p * piece; r < std::min(y.rows, (p + 1) * piece); ++r) {
                     for (Index i = r * leading; i < (r + 1) * leading; ++i) complete(visit, size, bias, i);
                     visit.finish(r);
                   }
                 },
                 LoopSchedule::kStatic);
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& weight = visit.in[1];
    const Sizes size = sizes(visit.out.rows, visit.out.size);
    const T* c = visit.cotangent;
    if (visit.in_cotangents[0]) pull_input(visit.in_cotangents[0], weight, size, c);
    if (visit.in_cotangents[1]) pull_weight(visit.in_cotangents[1], size, c, x.value);
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

  // x̄ (+)= ȳ W.
  template <class T>
  static void pull_input(const Cotangent<T>& target, const Jet<T>& weight, const Sizes& size, const T* c) {
    const T beta = target.accumulate ? T{1} : T{0};
    if constexpr (std::is_same_v<T, float>) {
      if (weight.packed) return weight.packed->multiply_transposed(size.rows, c, beta, target.data);
    }
    parallel_for((size.rows + kRowsBack - 1) / kRowsBack, [&](Index piece) {
      const Index first = piece * kRowsBack;
      matmul<T>(std::min(kRowsBack, size.rows - first), size.inputs, size.outputs, T{1},
                {c + first * size.outputs, size.outputs}, {weight.value, size.inputs}, beta,
                target.data + first * size.inputs, size.inputs);
    });
  }

  // W̄ += ȳᵀ x.
  template <class T>
  static void pull_weight(const Cotangent<T>& target, const Sizes& size, const T* c, const T* x) {
    if constexpr (std::is_same_v<T, float>) {
      if (target.packed) return target.packed->add_product(size.rows, c, x);
    }
    parallel_for((size.outputs + kUnitsAPiece - 1) / kUnitsAPiece, [&](Index piece) {
      const Index first = piece * kUnitsAPiece;
      matmul<T>(std::min(kUnitsAPiece, size.outputs - first), size.inputs, size.rows, T{1},
                {c + first, size.outputs, true}, {x, size.inputs}, target.accumulate ? T{1} : T{0},
                target.data + first * size.inputs, size.inputs);
    });
  }

  // y = x Wᵀ.
  template <class T>
  static void through(const Push<T>& visit, Index rows, const Sizes& size, const T* x, T* y) {
    const Jet<T>& weight = visit.in[1];
    if constexpr (std::is_same_v<T, float>) {
      if (weight.packed) return weight.packed->multiply(rows, x, y);
    }
    const Index piece = visit.alone ? std::max<Index>(64, (rows + 31) / 32 * 8) : std::max<Index>(rows, 1);
    parallel_for((rows + piece - 1) / piece, [&](Index p) {
      const Index first = p * piece;
      matmul<T>(std::min(piece, rows - first), size.outputs, size.inputs, T{1}, {x + first * size.inputs, size.inputs},
                {weight.value, size.inputs, true}, T{0}, y + first * size.outputs, size.outputs);
    });
  }

  // Entries of scratch that hold so many in bfloat16, in whole cache lines.
  static Index bfloat16_scratch(Index count) { return round_up(count, 32) / 2; }

  // How many of the value and the K tangents go through W in bfloat16.
  template <class Visit>
  static Index low_planes(const Visit& visit, bool active) {
    return Index{visit.precision == Precision::kBfloat16} + (active ? visit.tangents : 0);
  }

  // y = x Wᵀ, if values are to, and ẏ = ẋ Wᵀ with factors in bfloat16: in one product where the results lie together.
  static void through_bfloat16(const Push<float>& visit, const Sizes& size, Bfloat16* rounded) {
    const Jet<float>& x = visit.in[0];
    const Jet<float>& y = visit.out;
    const Index entries = size.rows * size.inputs, results = size.rows * size.outputs;
    const Index planes = low_planes(visit, x.tangent != nullptr);
    const Index first = visit.precision == Precision::kBfloat16 ? -1 : 0;  // plane −1 is the value
    const auto from = [&](Index plane) { return plane < 0 ? x.value : x.tangent + plane * x.plane; };
    const auto to = [&](Index plane) { return plane < 0 ? y.value : y.tangent + plane * y.plane; };
    bool together = true;
    for (Index p = 0; p < planes; ++p) {
      together = together && to(first + p) == to(first) + p * results;
      const Index piece = visit.alone ? kRowsAPiece * size.inputs : std::max<Index>(entries, 1);
      parallel_for((entries + piece - 1) / piece,
                   [&](Index part) {
                     const Index begin = part * piece;
                     to_bfloat16(from(first + p) + begin, rounded + p * entries + begin,
                                 std::min(piece, entries - begin));
                   },
                   LoopSchedule::kStatic);
    }
    const WeightProduct& weights = *visit.in[1].packed;
    if (together && planes > 0) return weights.multiply_bfloat16(planes * size.rows, rounded, to(first));
    for (Index p = 0; p < planes; ++p) weights.multiply_bfloat16(size.rows, rounded + p * entries, to(first + p));
  }

  // y (+)= factor x Aᵀ, where A is stored, or a function of (first entry, entries). Only a visit that is alone has
  // scratch for several threads.
  template <class T, class Fill>
  static void add_product(const T* a, Fill fill, bool alone, const Sizes& size, T factor, const T* x, T* y,
                          bool accumulate, T* scratch) {
    const auto multiply = [&](Index piece) {
      const Index begin = piece * kUnitsAPiece;
      const Index units = std::min(kUnitsAPiece, size.outputs - begin);
      T* own = scratch + (alone ? thread_index() : 0) * piece_scratch(size);
      const auto rows = [&](Index, Index first, Index count, T* to) {
        const Index entry = (begin + first) * size.inputs;
        if (a) return a + entry;
        fill(entry, std::span<T>(to, static_cast<std::size_t>(count * size.inputs)));
        return static_cast<const T*>(to);
      };
      if constexpr (std::is_same_v<T, float>) {
        multiply_used_once(size.rows, units, size.inputs, factor, x, rows, y + begin, size.outputs, accumulate, own);
      } else {
        matmul<T>(size.rows, units, size.inputs, factor, {x, size.inputs}, {rows(0, 0, units, own), size.inputs, true},
                  accumulate ? T{1} : T{0}, y + begin, size.outputs);
      }
    };
    const Index pieces = (size.outputs + kUnitsAPiece - 1) / kUnitsAPiece;
    if (alone) return parallel_for(pieces, multiply, LoopSchedule::kStatic);
    for (Index piece = 0; piece < pieces; ++piece) multiply(piece);
  }
  // Entries that one thread needs for a piece, in whole cache lines.
  static Index piece_scratch(const Sizes& size) {
    return round_up(std::max(kUnitsAPiece * size.inputs, scratch_used_once(size.rows, size.inputs)), 16);
  }

  // y (+)= factor x V_kᵀ.
  template <class T>
  static void add_weight_tangent(const Push<T>& visit, Index k, const Sizes& size, T factor, const T* x, T* y,
                                 bool accumulate, T* scratch) {
    const Jet<T>& weight = visit.in[1];
    const auto fill = [&](Index first, std::span<T> out) { (*weight.drawn.fill)(k, weight.drawn.offset + first, out); };
    add_product(weight.tangent ? weight.tangent + k * weight.plane : nullptr, fill, visit.alone, size, factor, x, y,
                accumulate, scratch);
  }

  // What is left of row i: the bias and, for every tangent, its own and the rank-one part u (w · x).
  template <class T>
  static void complete(const Push<T>& visit, const Sizes& size, const Jet<T>* bias, Index i) {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& weight = visit.in[1];
    const Jet<T>& y = visit.out;
    const Index at = i * size.outputs;
    for (Index k = 0; k < visit.tangents; ++k) {
      T* y_dot = y.tangent + k * y.plane + at;
      const bool written = x.tangent || weight.tangent || weight.drawn.fill;
      const T* bias_dot = bias && bias->tangent ? bias->tangent + k * bias->plane : nullptr;
      T* y_second = y.second ? y.second + k * y.plane + at : nullptr;
      if (weight.rank_one.left) {
        const T* left = weight.rank_one.left + k * size.outputs;
        const T* right = weight.rank_one.right + k * size.inputs;
        add_row(dot(right, x.value + i * size.inputs, size.inputs), left, bias_dot, y_dot, size.outputs, written);
        if (y_second && x.tangent) {
          axpy(T{2} * dot(right, x.tangent + k * x.plane + i * size.inputs, size.inputs), left, y_second, size.outputs);
        }
      } else if (bias_dot) {
        add_row(T{1}, bias_dot, static_cast<const T*>(nullptr), y_dot, size.outputs, written);
      } else if (!written) {
        std::fill_n(y_dot, size.outputs, T{0});
      }
      if (y_second && bias && bias->second) axpy(T{1}, bias->second + k * bias->plane, y_second, size.outputs);
    }
    if (bias) axpy(T{1}, bias->value, y.value + at, size.outputs);
  }

  // y (+)= c u + b, where b may be null.
  template <class T>
  static void add_row(T c, const T* u, const T* b, T* y, Index n, bool accumulate) {
    if (accumulate && b) {
      for (Index j = 0; j < n; ++j) y[j] += c * u[j] + b[j];
    } else if (accumulate) {
      for (Index j = 0; j < n; ++j) y[j] += c * u[j];
    } else if (b) {
      for (Index j = 0; j < n; ++j) y[j] = c * u[j] + b[j];
    } else {
      for (Index j = 0; j < n; ++j) y[j] = c * u[j];
    }
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

Node linear(const Node& x, Index outputs, bool bias, double gain) {
  if (x.shape().rank() < 1 || outputs < 1) {
    throw ShapeError(fmt::format("linear: expected x (…, in) and at least one output, found {} and {}",
                                 x.shape().to_string(), outputs));
  }
  Builder build(x);
  const std::string name = x.graph()->numbered("linear");
  const Index inputs = x.shape()[-1];
  const Initializer he{.kind = Initializer::Kind::kHe,
                       .fan_in = static_cast<double>(inputs),
                       .fan_out = static_cast<double>(outputs),
                       .gain = gain};
  const Node weight = build.parameter(name + ".weight", {outputs, inputs}, he, outputs);
  return bias ? linear(x, weight, build.bias(name + ".bias", weight)) : linear(x, weight);
}

std::vector<OpEntry> linear_examples() {
  std::vector<OpEntry> ops;
  ops.push_back(
      {"linear",
       {{"with bias", {5}, [](const Node& x) { return linear(x, 4); }},
        {"without bias, several rows an example", {2, 3, 5}, [](const Node& x) { return linear(x, 7, false); }},
        {"wide", {33}, [](const Node& x) { return linear(tanh(linear(x, 70)), 65); }},
        {"weights cut another way for structured tangents",
         {6},
         [](const Node& x) {
           return linear(x, shared(x, "w", {4, 6}, 3));
         }},
        {"weights computed from weights", {4}, [](const Node& x) {
           return linear(x, transpose(tanh(shared(x, "w", {4, 3}, 4)), {1, 0}), square(shared(x, "b", {3}, 3)));
         }}}});
  return ops;
}

}  // namespace slopewise
