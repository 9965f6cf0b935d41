// Ops that act entry by entry, y = f(x), from one rule: f, f′ and f″ side by side.
//
//   struct Softsign {
//     static constexpr std::string_view kName = "softsign";
//     template <class V> Local<V> local(V x) const { … return {.value = …, .slope = …, .curvature = …}; }
//   };
//   Node y = unary(x, Softsign{});
#pragma once

#include <type_traits>

#include "slopewise/program/graph.hpp"

namespace slopewise {

// f, f′ and f″ at one point.
template <class V>
struct Local {
  V value, slope, curvature;
};

// A rule may also state `slope_at_output(y)`, f′ as a function of f: then the pullback keeps y, which the next op keeps
// anyway, and x can go.
template <class Rule>
concept HasSlopeAtOutput = requires(const Rule& rule) {
  rule.slope_at_output(0.0);
};
// A rule with f″ = 0 wherever f is smooth says so by `static constexpr bool kPiecewiseLinear = true`.
template <class Rule>
constexpr bool kPiecewiseLinear = requires {
  requires Rule::kPiecewiseLinear;
};

// A rule whose slope is finite wherever its value is says so by `static constexpr bool kBoundedSlope = true`: its
// products with tangents are then made without asking whether these are zero.
template <class Rule>
constexpr bool kBoundedSlope = kPiecewiseLinear<Rule> || requires {
  requires Rule::kBoundedSlope;
};

// A rule of steps, whose slope is 0 and is not carried, says so by `static constexpr bool kFlat = true`.
template <class Rule>
constexpr bool kFlat = requires {
  requires Rule::kFlat;
};

template <class Rule>
class UnaryOp final : public OpRules<UnaryOp<Rule>> {
 public:
  static constexpr std::string_view kName = Rule::kName;
  explicit UnaryOp(Rule rule) : rule_(rule) {}

  Shape shape(std::span<const InputInfo> in) const override { return in[0].shape; }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.value = 4 * entries, .tangent = 2 * entries, .pullback = 2 * entries};
  }
  Needs needs() const override { return {.inputs = !HasSlopeAtOutput<Rule>, .output = HasSlopeAtOutput<Rule>}; }
  bool curves(std::span<const InputInfo>) const override { return !kPiecewiseLinear<Rule>; }
  InputTraits takes(std::size_t) const override { return {.varies = !kFlat<Rule>}; }
  OpTraits traits() const override { return {.elementwise = true, .keeps_zeros = true}; }
  std::optional<NarrowOp> narrowed(std::span<const InputInfo>, const Shape&, const Range& at) const override {
    return NarrowOp{.op = nullptr, .axes = {at.axis}};
  }

  // y = f(x), ẏ_k = f′ ẋ_k, ÿ_k = f″ ẋ_k² + f′ ẍ_k.  An entry of ẋ or ẍ that is zero adds nothing, whatever f′ and f″
  // are.
  // Flattened: a rule that is called is not vectorised.
  template <class T>
  [[gnu::flatten]] void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    const Index count = y.rows * y.size;
    if (!y.tangent) {
      // y may be x: entry i alone reads entry i.
#pragma GCC ivdep
      for (Index i = 0; i < count; ++i) y.value[i] = rule_.local(x.value[i]).value;
      return;
    }
    // f′ and f″ are made once, in pieces that stay in the first-level cache, and serve all K tangents.
    constexpr Index kPiece = 512;
    T slope[kPiece], curvature[kPiece];
    for (Index first = 0; first < count; first += kPiece) {
      const Index piece = std::min(kPiece, count - first);
      const auto make = [&](auto second) {
#pragma GCC ivdep
        for (Index i = 0; i < piece; ++i) {
          const Local<T> at = rule_.local(x.value[first + i]);
          y.value[first + i] = at.value;
          slope[i] = at.slope;
          if constexpr (second) curvature[i] = at.curvature;
        }
      };
      y.second && !kPiecewiseLinear<Rule> ? make(std::true_type{}) : make(std::false_type{});
      for (Index k = 0; k < visit.tangents; ++k) {
        const T* x_dot = x.tangent + k * x.plane + first;
        T* y_dot = y.tangent + k * y.plane + first;
        if (y.second) {  // before ẏ, which may be where ẋ is
          const T* x_second = x.second ? x.second + k * x.plane + first : nullptr;
          T* y_second = y.second + k * y.plane + first;
          for (Index i = 0; i < piece; ++i) {
            const T bend = kPiecewiseLinear<Rule> ? T{0} : push_through(push_through(curvature[i], x_dot[i]), x_dot[i]);
            y_second[i] = x_second ? bend + push(slope[i], x_second[i]) : bend;
          }
        }
        for (Index i = 0; i < piece; ++i) y_dot[i] = push(slope[i], x_dot[i]);
      }
    }
  }

  // x̄ = f′ ȳ, 0 where either is.
  template <class T>
  [[gnu::flatten]] void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[0];
    if (!target) return;
    const Index count = visit.out.rows * visit.out.size;
    const auto slope = [&](Index i) {
      if constexpr (HasSlopeAtOutput<Rule>) {
        return rule_.slope_at_output(visit.out.value[i]);
      } else {
        return rule_.local(visit.in[0].value[i]).slope;
      }
    };
    if (target.accumulate) {
      for (Index i = 0; i < count; ++i) target.data[i] += pull_through(slope(i), visit.cotangent[i]);
    } else {
      for (Index i = 0; i < count; ++i) target.data[i] = pull_through(slope(i), visit.cotangent[i]);
    }
  }

 private:
  template <class T>
  static T push(T slope, T tangent) {
    return kBoundedSlope<Rule> ? slope * tangent : push_through(slope, tangent);
  }

  Rule rule_;
};

template <class Rule>
Node unary(const Node& x, Rule rule) {
  return Builder(x).apply(std::make_shared<UnaryOp<Rule>>(rule), {x});
}

}  // namespace slopewise
