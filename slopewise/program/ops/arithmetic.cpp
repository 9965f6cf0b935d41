// add, sub, mul, div, minimum, maximum, pow of two inputs broadcast against each other, and scale.
#include <cmath>
#include <limits>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/binary.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

// add, sub: y = a ± b.
template <int Sign>
struct Sum : PairRule {
  static constexpr std::string_view kName = Sign > 0 ? "add" : "sub";
  static constexpr bool kConstantSlopes = true, kSlopesAtHand = true, kBoundedSlopes = true;
  static constexpr bool curves(bool, bool) { return false; }
  template <class V>
  PairLocal<V> local(V a, V b) const {
    return {.value = a + V{Sign} * b, .slope_a = V{1}, .slope_b = V{Sign}};
  }
};

// mul: y = a b.  f_ab = 1.  A zero tangent adds nothing, beside an infinity too.
struct Mul : PairRule {
  static constexpr std::string_view kName = "mul";
  static constexpr bool kSlopesAtHand = true;
  static constexpr bool curves(bool a, bool b) { return a && b; }
  template <class V>
  PairLocal<V> local(V a, V b) const {
    return {.value = a * b, .slope_a = b, .slope_b = a, .curve_aa = V{0}, .curve_ab = V{1}, .curve_bb = V{0}};
  }
};

// div: y = a / b.  f_a = 1/b,  f_b = −y/b,  f_ab = −1/b²,  f_bb = 2 y/b².  At b = 0 the slopes are infinite.
struct Div : PairRule {
  static constexpr std::string_view kName = "div";
  static constexpr double kFlops = 4;
  static constexpr bool curves(bool, bool b) { return b; }
  template <class V>
  PairLocal<V> local(V a, V b) const {
    const V y = a / b, slope = V{1} / b;
    return {.value = y,
            .slope_a = slope,
            .slope_b = -y / b,
            .curve_aa = V{0},
            .curve_ab = -slope / b,
            .curve_bb = V{2} * (y / b) / b};
  }
};

// minimum, maximum: a tie gives half of the slope to each, the mean of its two sides. NaN where either is NaN.
template <bool Most>
struct Extreme : PairRule {
  static constexpr std::string_view kName = Most ? "maximum" : "minimum";
  static constexpr bool kSlopesAtHand = true, kBoundedSlopes = true;
  static constexpr bool curves(bool, bool) { return false; }
  template <class V>
  PairLocal<V> local(V a, V b) const {
    const bool first = Most ? a > b : a < b;
    const V slope = first ? V{1} : a == b ? V{0.5} : V{0};
    return {.value = first || std::isnan(a) ? a : b, .slope_a = slope, .slope_b = V{1} - slope};
  }
};

// a^(b − n): exp and log turn what rounding takes from b − n into a relative error as large.
template <class V>
V power_less(V a, V b, V n) {
  const V less = b - n;
  const V taken = less - b;
  const V lost = (b - (less - taken)) - (n + taken);
  const V power = std::pow(a, less);
  return lost == V{0} || !(a > V{0}) || std::isinf(power) ? power : power + power * (lost * std::log(a));
}

// pow: y = a^b.  f_a = b a^(b−1),  f_b = y log a,  f_aa = b (b−1) a^(b−2),  f_ab = a^(b−1) (1 + b log a),
// f_bb = y log² a.
// 0^0 = 1, as in <cmath>. At a = 0: along a the slope is 0 for b = 0 or b > 1, 1 for b = 1, inf for 0 < b < 1; along b
// it is 0 for b > 0 (0^b is flat there) and −inf for b ≤ 0. For a < 0 the slope along b is NaN: only one that is held
// may be an exponent there, and a is as good as any number if it is whole.
struct Pow : PairRule {
  static constexpr std::string_view kName = "pow";
  static constexpr double kFlops = 40;
  template <class V>
  PairLocal<V> local(V a, V b) const {
    const V y = std::pow(a, b);
    const V logarithm = std::log(a);
    const bool flat = a == V{0} && b > V{0};  // along b
    const V less = power_less(a, b, V{1});
    const V along = flat ? V{0} : y * logarithm;
    const V bend = b * ((b - V{1}) * power_less(a, b, V{2}));
    return {.value = y,
            .slope_a = b == V{0} ? V{0} : finite_of(b * less, b * y / a),
            .slope_b = along,
            .curve_aa = b == V{0} || b == V{1} ? V{0} : finite_of(bend, b * (b - V{1}) * y / a / a),
            .curve_ab = a == V{0} ? at_zero(b, less) : less + logarithm * (b * less),
            .curve_bb = flat ? V{0} : along * logarithm};
  }
  // f_ab at a = 0.
  template <class V>
  static V at_zero(V b, V less) {
    return b > V{1} ? V{0} : (b > V{0} ? -std::numeric_limits<V>::infinity() : less);
  }
  // c a^(b−n), or (c a^b) / a^n where the power alone overflows.
  template <class V>
  static V finite_of(V product, V quotient) {
    return std::isinf(product) && std::isfinite(quotient) ? quotient : product;
  }
};

// scale: y = c x.
class Scale final : public LinearMap<Scale> {
 public:
  static constexpr std::string_view kName = "scale";
  Scale(double factor, Shape shape) : factor_(factor), shape_(std::move(shape)), size_(shape_.size()) {}
  Shape shape(std::span<const InputInfo>) const override { return shape_; }
  OpCost cost(std::span<const InputInfo>, const Shape&) const override {
    const auto entries = static_cast<double>(size_);
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    for (Index i = 0; i < size_; ++i) out[i] = static_cast<T>(factor_) * in[0][i];
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    for (Index i = 0; i < size_; ++i) target[i] += static_cast<T>(factor_) * cotangent[i];
  }

 private:
  double factor_;
  Shape shape_;
  Index size_;
};

}  // namespace

Node add(const Node& a, const Node& b) {
  return binary<Sum<1>>(a, b);
}
Node sub(const Node& a, const Node& b) {
  return binary<Sum<-1>>(a, b);
}
Node mul(const Node& a, const Node& b) {
  return binary<Mul>(a, b);
}
Node div(const Node& a, const Node& b) {
  return binary<Div>(a, b);
}
Node minimum(const Node& a, const Node& b) {
  return binary<Extreme<false>>(a, b);
}
Node maximum(const Node& a, const Node& b) {
  return binary<Extreme<true>>(a, b);
}
Node pow(const Node& a, const Node& b) {
  return binary<Pow>(a, b);
}
Node scale(const Node& x, double factor) {
  return Builder(x).apply(std::make_shared<Scale>(factor, x.shape()), {x});
}

namespace {

using Binary = Node (*)(const Node&, const Node&);

// The ways in which two inputs meet, for positive entries.
OpEntry meetings(std::string name, Node (*f)(const Node&, const Node&)) {
  const auto positive = [](const Node& like, Shape shape) {
    const Index size = shape.size();
    return exp(shared(like, "p", std::move(shape), size));
  };
  const auto first_column = [](const Node& x) { return slice(x, 1, 0, 1); };
  OpEntry entry{std::move(name), {}};
  const auto add = [&](std::string description, Shape input, std::function<Node(const Node&)> build) {
    entry.examples.push_back({std::move(description), std::move(input), std::move(build), 0.5, 2});
  };
  add("same shape", {2, 3}, [=](const Node& x) { return f(x, square(x)); });
  add("longer than a piece", {3, 211}, [=](const Node& x) { return f(x, scale(square(x), 0.2)); });
  add("itself", {3}, [=](const Node& x) { return f(x, x); });
  add("shared second", {3}, [=](const Node& x) { return f(x, positive(x, {3})); });
  add("shared first", {3}, [=](const Node& x) { return f(positive(x, {3}), x); });
  add("shorter second", {2, 3}, [=](const Node& x) { return f(x, positive(x, {3})); });
  add("shorter first", {2, 3}, [=](const Node& x) { return f(positive(x, {3}), x); });
  add("a number", {2, 2}, [=](const Node& x) { return f(x, positive(x, {})); });
  add("repeated along a run, second", {2, 3}, [=](const Node& x) { return f(square(x), first_column(x)); });
  add("repeated along a run, first", {2, 3}, [=](const Node& x) { return f(first_column(x), square(x)); });
  add("repeated between runs", {2, 3, 2}, [=](const Node& x) { return f(first_column(x), square(x)); });
  add("both repeated", {3, 1}, [=](const Node& x) { return f(x, positive(x, {4})); });
  add("both shared", {2}, [=](const Node& x) {
    const Node column = positive(x, {2, 1});  // before the other, whatever the compiler's order
    return x * f(column, positive(x, {2}));
  });
  add("empty", {2, 0}, [=](const Node& x) { return f(x, positive(x, {2, 1})); });
  return entry;
}

}  // namespace

std::vector<OpEntry> arithmetic_examples() {
  return {meetings("add", slopewise::add),
          meetings("sub", sub),
          meetings("mul", mul),
          meetings("div", div),
          meetings("minimum", minimum),
          meetings("maximum", maximum),
          meetings("pow", pow),
          {"scale", {{"by −1.5", {4}, [](const Node& x) { return scale(x, -1.5); }}}}};
}

}  // namespace slopewise
