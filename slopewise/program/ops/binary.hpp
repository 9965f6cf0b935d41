// Ops on two numbers, y = f(a, b), broadcast against each other, from one rule: f, its slopes and its curvatures side
// by side.
#pragma once

#include <type_traits>

#include "slopewise/program/graph.hpp"
#include "slopewise/program/ops/broadcast.hpp"

namespace slopewise {

// f, f_a, f_b, f_aa, f_ab and f_bb at one point.
template <class V>
struct PairLocal {
  V value, slope_a, slope_b, curve_aa, curve_ab, curve_bb;
};

// What a rule says of itself beside `local`:
//   kFlops            of one value
//   kConstantSlopes   f is linear: its slopes need no inputs
//   kSlopesAtHand     its slopes cost no more than to read them again for each tangent
//   kBoundedSlopes    they are finite wherever f is: no product with a tangent asks whether that is zero
//   curves(a, b)      whether there is a curvature along a alone, b alone, or both together, where they vary
struct PairRule {
  static constexpr double kFlops = 1;
  static constexpr bool kConstantSlopes = false, kSlopesAtHand = false, kBoundedSlopes = false;
  static constexpr bool curves(bool a, bool b) { return a || b; }
};

template <class Rule>
class BinaryOp final : public OpRules<BinaryOp<Rule>> {
 public:
  static constexpr std::string_view kName = Rule::kName;
  BinaryOp(const Shape& a, const Shape& b) : broadcast_(kName, {a, b}) {}

  Shape shape(std::span<const InputInfo>) const override { return broadcast_.shape(); }
  std::optional<NarrowOp> narrowed(std::span<const InputInfo> in, const Shape& out, const Range& at) const override {
    std::vector<Shape> shapes;
    NarrowOp narrow;
    for (const InputInfo& input : in) {
      const Index axis = at.axis - (out.rank() - input.shape.rank());
      const bool repeated = axis < 0 || input.shape[axis] == 1;
      narrow.axes.push_back(repeated ? -1 : axis);
      std::vector<Index> extents = input.shape.extents();
      if (!repeated) extents[axis] = at.end - at.begin;
      shapes.emplace_back(extents);
    }
    narrow.op = std::make_shared<BinaryOp>(shapes[0], shapes[1]);
    return narrow;
  }
  OpCost cost(std::span<const InputInfo> in, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    const double active = in[0].active + in[1].active;
    return {.value = Rule::kFlops * entries,
            .tangent = Rule::kConstantSlopes ? entries : 2 * entries * active,
            .pullback = (Rule::kConstantSlopes ? 1 : 2) * entries * active};
  }
  Needs needs() const override { return {.inputs = !Rule::kConstantSlopes, .output = false}; }
  bool curves(std::span<const InputInfo> in) const override { return Rule::curves(in[0].active, in[1].active); }
  OpTraits traits() const override { return {.keeps_zeros = true}; }

  // y = f,  ẏ = f_a ȧ + f_b ḃ,  ÿ = f_aa ȧ² + 2 f_ab ȧ ḃ + f_bb ḃ² + f_a ä + f_b b̈.  A zero tangent adds nothing,
  // whatever it is multiplied by.
  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    const Jet<T>& y = visit.out;
    broadcast_.with_steps([&](auto step_a, auto step_b) {
      broadcast_.each_run(y.rows, apart(a, b, y), [&](Index r, Index at, const auto& starts, Index length) {
        for (Index first = 0; first < length; first += kPiece) {
          const Piece<T, step_a, step_b> piece{.a = a.row(r) + starts[0] + first * step_a,
                                               .b = b.row(r) + starts[1] + first * step_b,
                                               .y = y.row(r) + at + first,
                                               .count = std::min(kPiece, length - first)};
          push_piece(visit, piece);
        }
      });
    });
  }

  // ā = f_a ȳ, b̄ = f_b ȳ, summed over what is repeated, 0 where either factor is.
  template <class T>
  void pullback(const Pull<T>& visit) const {
    broadcast_.with_steps([&](auto step_a, auto step_b) {
      gather<0, step_a, step_b>(visit, [](const PairLocal<T>& at) { return at.slope_a; });
      gather<1, step_a, step_b>(visit, [](const PairLocal<T>& at) { return at.slope_b; });
    });
  }

 private:
  // Slopes are made once, in pieces that stay in the first-level cache, and serve all K tangents.
  static constexpr Index kPiece = 256;
  template <class T, Index StepA, Index StepB>
  struct Piece {
    Index a, b, y, count;  // where it starts in each, and its entries
  };

  template <class T>
  static bool apart(const Jet<T>& a, const Jet<T>& b, const Jet<T>& y) {
    return y.rows == 1 || !(a.shared() || b.shared());
  }
  template <class T>
  static PairLocal<T> local(T a, T b) {
    return Rule{}.local(a, b);
  }
  template <class T>
  static T push(T slope, T tangent) {
    return Rule::kBoundedSlopes ? slope * tangent : push_through(slope, tangent);
  }

  template <class T, Index StepA, Index StepB>
  static void push_piece(const Push<T>& visit, const Piece<T, StepA, StepB>& piece) {
    const T* a = visit.in[0].value + piece.a;
    const T* b = visit.in[1].value + piece.b;
    const auto here = [=](Index i) { return local(a[i * StepA], b[i * StepB]); };
    const Jet<T>& y = visit.out;
    if (Rule::kSlopesAtHand || !y.tangent) {
      for (Index i = 0; i < piece.count; ++i) y.value[piece.y + i] = here(i).value;
      if (Rule::kSlopesAtHand && y.tangent) push_tangents(visit, piece, here);
      return;
    }
    T slope_a[kPiece], slope_b[kPiece], curve_aa[kPiece], curve_ab[kPiece], curve_bb[kPiece];
    const auto make = [&](auto second) {
      for (Index i = 0; i < piece.count; ++i) {
        const PairLocal<T> at = here(i);
        y.value[piece.y + i] = at.value;
        slope_a[i] = at.slope_a;
        slope_b[i] = at.slope_b;
        if constexpr (second) {
          curve_aa[i] = at.curve_aa;
          curve_ab[i] = at.curve_ab;
          curve_bb[i] = at.curve_bb;
        }
      }
    };
    y.second ? make(std::true_type{}) : make(std::false_type{});
    push_tangents(visit, piece, [&](Index i) {
      return PairLocal<T>{T{0}, slope_a[i], slope_b[i], curve_aa[i], curve_ab[i], curve_bb[i]};
    });
  }

  template <class T, Index StepA, Index StepB, class F>
  static void push_tangents(const Push<T>& visit, const Piece<T, StepA, StepB>& piece, F local_at) {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    const Jet<T>& y = visit.out;
    const auto part = [](const T* data, Index k, const Jet<T>& jet, Index at) {
      return data ? data + k * jet.plane + at : nullptr;
    };
    for (Index k = 0; k < visit.tangents; ++k) {
      const T* a_dot = part(a.tangent, k, a, piece.a);
      const T* b_dot = part(b.tangent, k, b, piece.b);
      T* y_dot = y.tangent + k * y.plane + piece.y;
      const auto along_a = [=](Index i) { return push(local_at(i).slope_a, a_dot[i * StepA]); };
      const auto along_b = [=](Index i) { return push(local_at(i).slope_b, b_dot[i * StepB]); };
      if (a_dot && b_dot) {
        for (Index i = 0; i < piece.count; ++i) y_dot[i] = along_a(i) + along_b(i);
      } else if (a_dot) {
        for (Index i = 0; i < piece.count; ++i) y_dot[i] = along_a(i);
      } else {
        for (Index i = 0; i < piece.count; ++i) y_dot[i] = along_b(i);
      }
      if (!y.second) continue;
      T* y_second = y.second + k * y.plane + piece.y;
      std::fill_n(y_second, piece.count, T{0});
      const auto add = [&](auto term) {
        for (Index i = 0; i < piece.count; ++i) y_second[i] += term(i);
      };
      if (const T* a_second = part(a.second, k, a, piece.a))
        add([=](Index i) { return push(local_at(i).slope_a, a_second[i * StepA]); });
      if (const T* b_second = part(b.second, k, b, piece.b))
        add([=](Index i) { return push(local_at(i).slope_b, b_second[i * StepB]); });
      // 0 where any factor is.
      const auto bend = [](T curvature, T u, T v) { return pull_through(push_through(curvature, u), v); };
      if constexpr (Rule::curves(true, false)) {
        if (a_dot) add([=](Index i) { return bend(local_at(i).curve_aa, a_dot[i * StepA], a_dot[i * StepA]); });
      }
      if constexpr (Rule::curves(false, true)) {
        if (b_dot) add([=](Index i) { return bend(local_at(i).curve_bb, b_dot[i * StepB], b_dot[i * StepB]); });
      }
      if constexpr (Rule::curves(true, true)) {
        if (a_dot && b_dot)
          add([=](Index i) { return T{2} * bend(local_at(i).curve_ab, a_dot[i * StepA], b_dot[i * StepB]); });
      }
    }
  }

  template <std::size_t N, Index StepA, Index StepB, class T, class F>
  void gather(const Pull<T>& visit, F slope_of) const {
    const Cotangent<T>& target = visit.in_cotangents[N];
    if (!target) return;
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    const Jet<T>& own = visit.in[N];
    if (!target.accumulate) std::fill_n(target.data, own.rows * own.size, T{0});
    broadcast_.each_run(visit.out.rows, apart(a, b, visit.out), [&](Index r, Index at, const auto& starts, Index n) {
      const T* cotangent = visit.cotangent + visit.out.row(r) + at;
      T* to = target.data + own.row(r) + starts[N];
      const auto weighted = [&](Index i) {
        if constexpr (Rule::kConstantSlopes) {
          return slope_of(local(T{0}, T{0})) * cotangent[i];
        } else {
          const T* p = a.value_row(r) + starts[0];
          const T* q = b.value_row(r) + starts[1];
          return pull_through(slope_of(local(p[i * StepA], q[i * StepB])), cotangent[i]);
        }
      };
      if constexpr ((N == 0 ? StepA : StepB) == 1) {
        for (Index i = 0; i < n; ++i) to[i] += weighted(i);
      } else {
        T sum{0};
        for (Index i = 0; i < n; ++i) sum += weighted(i);
        *to += sum;
      }
    });
  }

  Broadcast<2> broadcast_;
};

template <class Rule>
Node binary(const Node& a, const Node& b) {
  return Builder(a).apply(std::make_shared<BinaryOp<Rule>>(a.shape(), b.shape()), {a, b});
}

}  // namespace slopewise
