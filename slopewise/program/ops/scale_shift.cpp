// scale_shift: y = x g + b in each place, g and b shared: what norms end with, in one visit of x.
//   ẏ = g ẋ + x ġ + ḃ,  ÿ = g ẍ + 2 ẋ ġ + x g̈ + b̈.   x̄ = g ȳ,  ḡ = Σ x ȳ,  b̄ = Σ ȳ, over places and rows.
#include <algorithm>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

class ScaleShift final : public OpRules<ScaleShift> {
 public:
  static constexpr std::string_view kName = "scale_shift";
  explicit ScaleShift(Index entries) : n_(entries) {}

  Shape shape(std::span<const InputInfo> in) const override { return in[0].shape; }
  // Places alone may be left out.
  std::optional<NarrowOp> narrowed(std::span<const InputInfo> in, const Shape& out, const Range& at) const override {
    if (at.axis >= out.rank() - in[1].shape.rank()) return {};
    return NarrowOp{.op = nullptr, .axes = {at.axis, -1, -1}};
  }
  OpCost cost(std::span<const InputInfo> in, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    const double each = 2.0 * in[0].active + 2.0 * in[1].active + in[2].active;
    return {.value = 2 * entries, .tangent = each * entries, .pullback = each * entries};
  }
  bool curves(std::span<const InputInfo> in) const override { return in[0].active && in[1].active; }
  OpTraits traits() const override { return {.finishes_rows = true, .keeps_zeros = true}; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    const T* gain = visit.in[1].value;
    const T* bias = visit.in[2].value;
    for (Index r = 0; r < y.rows; ++r) {
      const T* from = x.value_row(r);
      T* to = y.value_row(r);
      for (Index at = 0; at < y.size; at += n_) {
        for (Index i = 0; i < n_; ++i) to[at + i] = from[at + i] * gain[i] + bias[i];
      }
      for (Index k = 0; y.tangent && k < visit.tangents; ++k) push_row(visit, r, k);
      visit.finish(r);
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Index entries = visit.out.rows * visit.out.size;
    const T* x = visit.in[0].value;
    const T* gain = visit.in[1].value;
    const T* from = visit.cotangent;
    if (const Cotangent<T>& target = visit.in_cotangents[0]) {
      if (!target.accumulate) std::fill_n(target.data, entries, T{0});
      for (Index at = 0; at < entries; at += n_) {
        for (Index i = 0; i < n_; ++i) target.data[at + i] += pull_through(gain[i], from[at + i]);
      }
    }
    if (const Cotangent<T>& target = visit.in_cotangents[1]) {
      if (!target.accumulate) std::fill_n(target.data, n_, T{0});
      for (Index at = 0; at < entries; at += n_) {
        for (Index i = 0; i < n_; ++i) target.data[i] += pull_through(x[at + i], from[at + i]);
      }
    }
    if (const Cotangent<T>& target = visit.in_cotangents[2]) {
      if (!target.accumulate) std::fill_n(target.data, n_, T{0});
      for (Index at = 0; at < entries; at += n_) {
        for (Index i = 0; i < n_; ++i) target.data[i] += from[at + i];
      }
    }
  }

 private:
  template <class T>
  void push_row(const Push<T>& visit, Index r, Index k) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& gain = visit.in[1];
    const Jet<T>& bias = visit.in[2];
    const Jet<T>& y = visit.out;
    const T* from = x.value_row(r);
    const T* g = gain.value;
    const T* x_dot = x.tangent ? x.tangent_row(k, r) : nullptr;
    const T* g_dot = gain.tangent ? gain.tangent_row(k, 0) : nullptr;
    const T* b_dot = bias.tangent ? bias.tangent_row(k, 0) : nullptr;
    const T* x_second = x.second ? x.second_row(k, r) : nullptr;
    const T* g_second = gain.second ? gain.second_row(k, 0) : nullptr;
    const T* b_second = bias.second ? bias.second_row(k, 0) : nullptr;
    T* to = y.tangent_row(k, r);
    for (Index at = 0; at < y.size; at += n_) {
      if (y.second) {
        T* bend = y.second_row(k, r) + at;
        for (Index i = 0; i < n_; ++i) {
          bend[i] = (x_second ? push_through(g[i], x_second[at + i]) : T{0}) +
                    (x_dot && g_dot ? T{2} * pull_through(x_dot[at + i], g_dot[i]) : T{0}) +
                    (g_second ? push_through(from[at + i], g_second[i]) : T{0}) + (b_second ? b_second[i] : T{0});
        }
      }
      const auto write = [&](auto term) {
        if (b_dot) {
          for (Index i = 0; i < n_; ++i) to[at + i] = term(i) + b_dot[i];
        } else {
          for (Index i = 0; i < n_; ++i) to[at + i] = term(i);
        }
      };
      const auto of_x = [=](Index i) { return push_through(g[i], x_dot[at + i]); };
      const auto of_gain = [=](Index i) { return push_through(from[at + i], g_dot[i]); };
      if (x_dot && g_dot) {
        write([=](Index i) { return of_x(i) + of_gain(i); });
      } else if (x_dot) {
        write(of_x);
      } else if (g_dot) {
        write(of_gain);
      } else {
        write([](Index) { return T{0}; });
      }
    }
  }

  Index n_;  // entries of a place
};

}  // namespace

Node scale_shift(const Node& x, const Node& gain, const Node& bias) {
  const Shape& whole = x.shape();
  const Shape& own = gain.shape();
  const bool fits = gain.shared() && bias.shared() && bias.shape() == own && own.size() > 0 &&
                    own.rank() <= whole.rank() && Shape({whole.end() - own.rank(), whole.end()}) == own;
  if (!fits) return x * gain + bias;
  return Builder(x).apply(std::make_shared<ScaleShift>(own.size()), {x, gain, bias});
}

std::vector<OpEntry> scale_shift_examples() {
  return {{"scale_shift",
           {{"places",
             {3, 4},
             [](const Node& x) { return scale_shift(square(x), shared(x, "g", {4}, 4), shared(x, "b", {4}, 4)); }},
            {"two axes of three, gain and bias computed from weights",
             {2, 3, 2},
             [](const Node& x) {
               return scale_shift(x, square(shared(x, "g", {3, 2}, 3)), square(shared(x, "b", {3, 2}, 3)));
             }},
            {"one place", {5}, [](const Node& x) {
               return tanh(scale_shift(tanh(x), shared(x, "g", {5}, 5), shared(x, "b", {5}, 5)));
             }}}}};
}

}  // namespace slopewise
