// Reductions that are not sums: maximum, minimum, product, log Σ exp, and where the maximum is. They act on rows of
// neighbours; other axes are moved there first.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/rows.hpp"
#include "slopewise/program/ops/softmax_row.hpp"

namespace slopewise {
namespace {

// Base of ops that make one number y of each n neighbours x. `Derived` states
//   begin(x, scratch, y)                  the value, and in scratch what the tangents share
//   slope(x, scratch, ẋ)                  ẏ
//   second(x, scratch, ẋ, ẍ)              ÿ, where ẍ may be null
//   pull(x, scratch, ȳ, x̄)                adds to x̄
template <class Derived>
class RowReduction : public OpRules<Derived> {
 public:
  Shape shape(std::span<const InputInfo>) const final { return reduced_; }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const final {
    const auto entries = static_cast<double>(out.size() * n_);
    return {.value = Derived::kFlops * entries, .tangent = 2 * entries, .pullback = Derived::kFlops * entries};
  }
  // Of one row: n entries, and one that is the derived op's.
  Index scratch(std::span<const InputInfo>, const Shape&, const VisitSize&) const final { return n_ + 1; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    for (Index r = 0; r < y.rows * y.size; ++r) {
      const T* row = x.value + r * n_;
      self().begin(row, visit.scratch, y.value[r]);
      if (!y.tangent) continue;
      for (Index k = 0; k < visit.tangents; ++k) {
        const T* dot = x.tangent + k * x.plane + r * n_;
        y.tangent[k * y.plane + r] = self().slope(row, visit.scratch, dot);
        if (!y.second) continue;
        const T* second = x.second ? x.second + k * x.plane + r * n_ : nullptr;
        y.second[k * y.plane + r] = self().second(row, visit.scratch, dot, second);
      }
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[0];
    if (!target) return;
    const Index rows = visit.out.rows * visit.out.size;
    if (!target.accumulate) std::fill_n(target.data, rows * n_, T{0});
    for (Index r = 0; r < rows; ++r) {
      self().pull(visit.in[0].value + r * n_, visit.scratch, visit.cotangent[r], target.data + r * n_);
    }
  }

 protected:
  RowReduction(Shape reduced, Index n) : reduced_(std::move(reduced)), n_(n) {}
  void require_entries() const {
    if (n_ < 1) throw ShapeError(fmt::format("{}: expected at least one entry along the axes", Derived::kName));
  }
  Index n() const { return n_; }

 private:
  const Derived& self() const { return static_cast<const Derived&>(*this); }
  Shape reduced_;
  Index n_;
};

// The place of the largest (smallest) of n numbers: the first of equal ones, or the last; a NaN's before any number's.
template <bool Most, class T>
Index place_of_extreme(const T* x, Index n, bool last = false) {
  Index best = 0;
  for (Index i = 1; i < n; ++i) {
    const bool beyond = Most ? x[i] > x[best] : x[i] < x[best];
    if (beyond || (last && x[i] == x[best]) || (std::isnan(x[i]) && !std::isnan(x[best]))) best = i;
  }
  return best;
}

// reduce_max, reduce_min: entries that are all the largest share its slope equally, as two do in `maximum`. NaN where
// any entry is.
template <bool Most>
class Extreme final : public RowReduction<Extreme<Most>> {
 public:
  static constexpr std::string_view kName = Most ? "reduce_max" : "reduce_min";
  static constexpr double kFlops = 1;
  Extreme(Shape reduced, Index n) : RowReduction<Extreme>(std::move(reduced), n) { this->require_entries(); }
  bool curves(std::span<const InputInfo>) const override { return false; }

  template <class T>
  void begin(const T* x, T* scratch, T& y) const {
    y = *scratch = x[place_of_extreme<Most>(x, this->n())];
  }
  template <class T>
  T slope(const T* x, const T* scratch, const T* dot) const {
    T sum{0}, ties{0};
    for (Index i = 0; i < this->n(); ++i) {
      const bool here = x[i] == *scratch;
      sum += here ? dot[i] : T{0};
      ties += here ? T{1} : T{0};
    }
    return sum / ties;
  }
  template <class T>
  T second(const T* x, const T* scratch, const T*, const T* second) const {
    return second ? slope(x, scratch, second) : T{0};
  }
  template <class T>
  void pull(const T* x, T* scratch, T cotangent, T* to) const {
    begin(x, scratch, *scratch);
    const auto ties = static_cast<T>(std::count(x, x + this->n(), *scratch));
    for (Index i = 0; i < this->n(); ++i) to[i] += x[i] == *scratch ? cotangent / ties : T{0};
  }
};

// reduce_prod: y = Π x, made entry by entry, y ← y x, with ẏ ← ẏ x + y ẋ and ÿ ← ÿ x + 2 ẏ ẋ + y ẍ: nothing is divided
// by an x that may be 0. Back, x̄ is ȳ times the product of those before and that of those after. 1 for no entry.
class Prod final : public RowReduction<Prod> {
 public:
  static constexpr std::string_view kName = "reduce_prod";
  static constexpr double kFlops = 1;
  Prod(Shape reduced, Index n) : RowReduction(std::move(reduced), n) {}
  bool curves(std::span<const InputInfo>) const override { return true; }

  template <class T>
  void begin(const T* x, T*, T& y) const {
    y = T{1};
    for (Index i = 0; i < n(); ++i) y *= x[i];
  }
  template <class T>
  T slope(const T* x, const T*, const T* dot) const {
    T y{1}, y_dot{0};
    for (Index i = 0; i < n(); ++i) {
      y_dot = push_through(x[i], y_dot) + push_through(y, dot[i]);
      y *= x[i];
    }
    return y_dot;
  }
  template <class T>
  T second(const T* x, const T*, const T* dot, const T* second) const {
    T y{1}, y_dot{0}, y_second{0};
    for (Index i = 0; i < n(); ++i) {
      y_second = push_through(x[i], y_second) + T{2} * pull_through(y_dot, dot[i]) +
                 (second ? push_through(y, second[i]) : T{0});
      y_dot = push_through(x[i], y_dot) + push_through(y, dot[i]);
      y *= x[i];
    }
    return y_second;
  }
  template <class T>
  void pull(const T* x, T* scratch, T cotangent, T* to) const {
    T before{1}, after{1};
    for (Index i = 0; i < n(); ++i) {
      scratch[i] = before;
      before *= x[i];
    }
    for (Index i = n(); i-- > 0;) {
      to[i] += pull_through(scratch[i] * after, cotangent);
      after *= x[i];
    }
  }
};

// log_sum_exp: y = log Σ e^x.  With p = softmax(x): ẏ = ⟨p, ẋ⟩,  ÿ = ⟨ṗ, ẋ⟩ + ⟨p, ẍ⟩ (ops/softmax.cpp).
class LogSumExp final : public RowReduction<LogSumExp> {
 public:
  static constexpr std::string_view kName = "log_sum_exp";
  static constexpr double kFlops = 10;
  LogSumExp(Shape reduced, Index n) : RowReduction(std::move(reduced), n) { require_entries(); }
  bool curves(std::span<const InputInfo>) const override { return true; }

  template <class T>
  void begin(const T* x, T* p, T& y) const {
    const LogTotal<T> total = softmax_row(x, p, n());
    y = total.largest + total.rest;
  }
  template <class T>
  T slope(const T*, const T* p, const T* dot_row) const {
    return dot(p, dot_row, n());
  }
  template <class T>
  T second(const T* x, const T* p, const T* dot_row, const T* second) const {
    const Centred<T> centred(p, dot_row, n(), place_of_extreme<true>(x, n()));
    return variance_under(p, centred, n()) + (second ? dot(p, second, n()) : T{0});
  }
  template <class T>
  void pull(const T* x, T* p, T cotangent, T* to) const {
    softmax_row(x, p, n());
    for (Index i = 0; i < n(); ++i) to[i] += pull_through(p[i], cotangent);
  }
};

// argmax, argmin: a place, from 0 on, as a number; without slope.
template <bool Most>
class ArgExtreme final : public RowReduction<ArgExtreme<Most>> {
 public:
  static constexpr std::string_view kName = Most ? "argmax" : "argmin";
  static constexpr double kFlops = 1;
  ArgExtreme(Shape reduced, Index n, bool last) : RowReduction<ArgExtreme>(std::move(reduced), n), last_(last) {
    this->require_entries();
  }
  bool curves(std::span<const InputInfo>) const override { return false; }
  InputTraits takes(std::size_t) const override { return {.varies = false}; }

  template <class T>
  void begin(const T* x, T*, T& y) const {
    y = static_cast<T>(place_of_extreme<Most>(x, this->n(), last_));
  }
  template <class T>
  T slope(const T*, const T*, const T*) const {
    return T{0};
  }
  template <class T>
  T second(const T*, const T*, const T*, const T*) const {
    return T{0};
  }
  template <class T>
  void pull(const T*, T*, T, T*) const {}

 private:
  bool last_;
};

// hardmax: 1 at the first of the largest of n neighbours, 0 elsewhere; without slope.
class Hardmax final : public OpRules<Hardmax> {
 public:
  static constexpr std::string_view kName = "hardmax";
  Shape shape(std::span<const InputInfo> in) const override {
    if (in[0].shape.rank() < 1 || in[0].shape[-1] < 1) {
      throw ShapeError(
          fmt::format("hardmax: expected an axis of at least one entry, found {}", in[0].shape.to_string()));
    }
    return in[0].shape;
  }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    return {.value = static_cast<double>(out.size())};
  }
  Needs needs() const override { return {.inputs = false, .output = false}; }
  bool curves(std::span<const InputInfo>) const override { return false; }
  InputTraits takes(std::size_t) const override { return {.varies = false}; }
  Index scratch(std::span<const InputInfo>, const Shape& out, const VisitSize&) const override {
    return out.size() / out[-1];
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& y = visit.out;
    if (y.rows * y.size == 0) return;
    for (Index r = 0; r < y.rows; ++r) {
      for (Index first = 0; first < y.size; first += n_) {
        T* to = y.value_row(r) + first;
        std::fill_n(to, n_, T{0});
        to[place_of_extreme<true>(visit.in[0].value_row(r) + first, n_)] = T{1};
      }
    }
  }
  template <class T>
  void pullback(const Pull<T>&) const {}

  explicit Hardmax(const Shape& shape) : n_(shape.rank() > 0 ? shape[-1] : 0) {}

 private:
  Index n_;
};

template <class Op, class... More>
Node reduced(const Node& x, const std::vector<Index>& axes, bool keep, More... more) {
  const Rows rows = rows_along(x, axes);
  const Node y = Builder(x).apply(std::make_shared<Op>(rows.reduced, rows.length, more...), {rows.x});
  return keep ? reshape(y, kept_shape(x.shape(), axes)) : y;
}

}  // namespace

Node reduce_max(const Node& x, const std::vector<Index>& axes, bool keep) {
  return reduced<Extreme<true>>(x, axes, keep);
}
Node reduce_min(const Node& x, const std::vector<Index>& axes, bool keep) {
  return reduced<Extreme<false>>(x, axes, keep);
}
Node reduce_prod(const Node& x, const std::vector<Index>& axes, bool keep) {
  return reduced<Prod>(x, axes, keep);
}
Node log_sum_exp(const Node& x, const std::vector<Index>& axes, bool keep) {
  return reduced<LogSumExp>(x, axes, keep);
}
Node argmax(const Node& x, Index axis, bool last_index) {
  return reduced<ArgExtreme<true>>(x, {axis}, false, last_index);
}
Node argmin(const Node& x, Index axis, bool last_index) {
  return reduced<ArgExtreme<false>>(x, {axis}, false, last_index);
}
Node hardmax(const Node& x, Index axis) {
  return along_axis(
      x, axis, [](const Node& rows) { return Builder(rows).apply(std::make_shared<Hardmax>(rows.shape()), {rows}); });
}

std::vector<OpEntry> reduce_rows_examples() {
  const auto over_axes = [](std::string name, Node (*f)(const Node&, const std::vector<Index>&, bool)) {
    return OpEntry{std::move(name),
                   {{"all", {2, 3}, [=](const Node& x) { return f(square(x), {}, false); }},
                    {"last axis, kept", {2, 3}, [=](const Node& x) { return f(x, {-1}, true); }},
                    {"first and last axis",
                     {2, 3, 2},
                     [=](const Node& x) {
                       return f(square(x), {0, 2}, false);
                     }},
                    {"one entry", {1}, [=](const Node& x) { return f(x, {}, false); }},
                    {"shared",
                     {2},
                     [=](const Node& x) {
                       return x * f(shared(x, "p", {2, 3}, 2), {1}, false);
                     }},
                    {"no rows", {0, 3}, [=](const Node& x) { return f(x, {1}, false); }}}};
  };
  std::vector<OpEntry> ops{over_axes("reduce_max", reduce_max), over_axes("reduce_min", reduce_min),
                           over_axes("reduce_prod", reduce_prod), over_axes("log_sum_exp", log_sum_exp)};
  ops[2].examples.push_back({"of nothing", {2, 0}, [](const Node& x) { return reduce_prod(x, {1}, false); }});
  ops[2].examples.push_back({"with zeros", {3}, [](const Node& x) {
                               return reduce_prod(x * greater(x, shared(x, "p", {3}, 3)), {}, false);
                             }});
  const auto places = [](std::string name, Node (*f)(const Node&, Index, bool)) {
    return OpEntry{std::move(name),
                   {{"alone", {2, 3}, [=](const Node& x) { return f(x, 1, false); }},
                    {"times what varies", {2, 3}, [=](const Node& x) { return x * f(square(x), 0, true); }}}};
  };
  ops.push_back(places("argmax", argmax));
  ops.push_back(places("argmin", argmin));
  ops.push_back({"hardmax",
                 {{"first axis", {2, 3}, [](const Node& x) { return x * hardmax(square(x), 0); }},
                  {"no rows", {0, 3}, [](const Node& x) { return hardmax(x, -1); }}}});
  return ops;
}

}  // namespace slopewise
