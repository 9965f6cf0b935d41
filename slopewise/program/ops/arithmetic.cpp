// add, sub, mul, scale. The second operand may have a shorter shape, the end of the first one's, and is then repeated.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

bool ends_with(const Shape& whole, const Shape& end) {
  return end.rank() <= whole.rank() && std::equal(end.begin(), end.end(), whole.end() - end.rank());
}

// y[r, i] = f(a[r, i], b[r, i mod |b|]) for every row r.
template <class T, class F>
void combine(const Jet<T>& out, T* y, const Jet<T>& a, const T* a_data, const Jet<T>& b, const T* b_data, F f) {
  if (b.size == 0) return;
  for (Index r = 0; r < out.rows; ++r) {
    const T* a_row = a_data + a.row(r);
    const T* b_row = b_data + b.row(r);
    T* y_row = y + r * out.size;
    for (Index first = 0; first < out.size; first += b.size) {
      for (Index j = 0; j < b.size; ++j) y_row[first + j] = f(y_row[first + j], a_row[first + j], b_row[j]);
    }
  }
}

// target[i] += weight(r, i) ȳ[r, i], summed over what is repeated: rows of a shared input, and a shorter b.
template <class T, class F>
void gather_cotangent(const Pull<T>& visit, std::size_t number, F weighted) {
  const Cotangent<T>& target = visit.in_cotangents[number];
  if (!target) return;
  const Jet<T>& in = visit.in[number];
  if (!target.accumulate) std::fill_n(target.data, in.rows * in.size, T{0});
  if (in.size == 0) return;
  for (Index r = 0; r < visit.out.rows; ++r) {
    T* row = target.data + in.row(r);
    const T* cotangent = visit.cotangent + r * visit.out.size;
    for (Index first = 0; first < visit.out.size; first += in.size) {
      for (Index j = 0; j < in.size; ++j) row[j] += weighted(r, first + j, cotangent[first + j]);
    }
  }
}

template <class Derived>
class BinaryOp : public OpRules<Derived> {
 public:
  Shape shape(std::span<const InputInfo> in) const final {
    if (!ends_with(in[0].shape, in[1].shape)) {
      throw ShapeError(fmt::format("{}: expected the second shape to be the end of the first, found {} and {}",
                                   Derived::kName, in[0].shape.to_string(), in[1].shape.to_string()));
    }
    return in[0].shape;
  }
};

// add, sub: y = a + c b with c = ±1.
template <int Sign>
class Sum final : public BinaryOp<Sum<Sign>> {
 public:
  static constexpr std::string_view kName = Sign > 0 ? "add" : "sub";
  OpCost cost(std::span<const InputInfo> in, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.value = entries, .tangent = entries, .pullback = entries * (in[0].active + in[1].active)};
  }
  Needs needs() const override { return {.inputs = false, .output = false}; }
  bool curves(std::span<const InputInfo>) const override { return false; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    const Jet<T>& y = visit.out;
    combine(y, y.value, a, a.value, b, b.value, [](T, T p, T q) { return p + T{Sign} * q; });
    for (Index k = 0; k < visit.tangents; ++k) {
      if (y.tangent) part(y, y.tangent, a, a.tangent, b, b.tangent, k);
      if (y.second) part(y, y.second, a, a.second, b, b.second, k);
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    gather_cotangent(visit, 0, [](Index, Index, T c) { return c; });
    gather_cotangent(visit, 1, [](Index, Index, T c) { return T{Sign} * c; });
  }

 private:
  template <class T>
  static void part(const Jet<T>& y, T* to, const Jet<T>& a, const T* from_a, const Jet<T>& b, const T* from_b,
                   Index k) {
    T* out = to + k * y.plane;
    const T* p = from_a ? from_a + k * a.plane : nullptr;
    const T* q = from_b ? from_b + k * b.plane : nullptr;
    if (p && q) combine(y, out, a, p, b, q, [](T, T u, T v) { return u + T{Sign} * v; });
    if (p && !q) combine(y, out, a, p, b, b.value, [](T, T u, T) { return u; });
    if (!p && q) combine(y, out, a, a.value, b, q, [](T, T, T v) { return T{Sign} * v; });
  }
};

// mul: y = a b.  ẏ = ȧ b + a ḃ,  ÿ = ä b + 2 ȧ ḃ + a b̈.  A zero tangent adds nothing, beside an infinity too.
class Mul final : public BinaryOp<Mul> {
 public:
  static constexpr std::string_view kName = "mul";
  OpCost cost(std::span<const InputInfo> in, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.value = entries,
            .tangent = 2 * entries * (in[0].active + in[1].active),
            .pullback = 2 * entries * (in[0].active + in[1].active)};
  }
  bool curves(std::span<const InputInfo> in) const override { return in[0].active && in[1].active; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    const Jet<T>& y = visit.out;
    combine(y, y.value, a, a.value, b, b.value, [](T, T p, T q) { return p * q; });
    for (Index k = 0; k < visit.tangents; ++k) {
      const auto of_a = [&](const T* data) { return data ? data + k * a.plane : nullptr; };
      const auto of_b = [&](const T* data) { return data ? data + k * b.plane : nullptr; };
      // to += through(u, v) for all entries u and v, where there are any.
      const auto add = [&](T* to, const T* u_data, const T* v_data, auto through) {
        if (!u_data || !v_data) return;
        combine(y, to + k * y.plane, a, u_data, b, v_data, [=](T sum, T u, T v) { return sum + through(u, v); });
      };
      const auto a_varies = [](T u, T v) { return push_through(v, u); };
      const auto b_varies = [](T u, T v) { return push_through(u, v); };
      if (y.tangent) {
        std::fill_n(y.tangent + k * y.plane, y.rows * y.size, T{0});
        add(y.tangent, of_a(a.tangent), b.value, a_varies);
        add(y.tangent, a.value, of_b(b.tangent), b_varies);
      }
      if (y.second) {
        std::fill_n(y.second + k * y.plane, y.rows * y.size, T{0});
        add(y.second, of_a(a.second), b.value, a_varies);
        add(y.second, of_a(a.tangent), of_b(b.tangent), [](T u, T v) { return T{2} * pull_through(u, v); });
        add(y.second, a.value, of_b(b.second), b_varies);
      }
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    gather_cotangent(visit, 0, [&](Index r, Index i, T c) { return pull_through(b.value_row(r)[i % b.size], c); });
    gather_cotangent(visit, 1, [&](Index r, Index i, T c) { return pull_through(a.value_row(r)[i], c); });
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
  return Builder(a).apply(std::make_shared<Sum<1>>(), {a, b});
}
Node sub(const Node& a, const Node& b) {
  return Builder(a).apply(std::make_shared<Sum<-1>>(), {a, b});
}
Node mul(const Node& a, const Node& b) {
  return Builder(a).apply(std::make_shared<Mul>(), {a, b});
}
Node scale(const Node& x, double factor) {
  return Builder(x).apply(std::make_shared<Scale>(factor, x.shape()), {x});
}

std::vector<OpEntry> arithmetic_examples() {
  std::vector<OpEntry> ops;
  ops.push_back({"add",
                 {{"same shape", {2, 3}, [](const Node& x) { return square(x) + x; }},
                  {"shorter, shared", {2, 3}, [](const Node& x) { return x + shared(x, "b", {3}, 3); }},
                  {"shared first", {3}, [](const Node& x) { return square(shared(x, "a", {3}, 3)) + x; }},
                  {"itself", {3}, [](const Node& x) { return x + x; }}}});
  ops.push_back({"sub",
                 {{"same shape", {2, 3}, [](const Node& x) { return square(x) - x; }},
                  {"shorter, shared", {2, 3}, [](const Node& x) { return x - square(shared(x, "b", {3}, 3)); }},
                  {"shared first", {3}, [](const Node& x) { return shared(x, "a", {3}, 3) - square(x); }}}});
  ops.push_back({"mul",
                 {{"same shape", {2, 3}, [](const Node& x) { return square(x) * x; }},
                  {"shorter, shared", {2, 3}, [](const Node& x) { return x * shared(x, "b", {3}, 3); }},
                  {"shared first", {3}, [](const Node& x) { return square(shared(x, "a", {3}, 3)) * square(x); }},
                  {"itself", {3}, [](const Node& x) { return x * x; }},
                  {"empty", {0}, [](const Node& x) { return x * x; }}}});
  ops.push_back({"scale", {{"by −1.5", {4}, [](const Node& x) { return scale(x, -1.5); }}}});
  return ops;
}

}  // namespace slopewise
