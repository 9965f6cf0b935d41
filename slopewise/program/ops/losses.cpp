// Cross entropy and squared error. With p = softmax(x), the cross entropy's tangents are those of −log p[label]
// (ops/softmax.cpp): (p − t) · ẋ, and ⟨ṗ, ẋ⟩ + (p − t) · ẍ.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/softmax_row.hpp"

namespace slopewise {
namespace {

// lse(x) − t · x with the target t = (1 − ε) e_label + ε/n.
// Its gradient d = p − t is made without the difference p − 1.
class CrossEntropy final : public OpRules<CrossEntropy> {
 public:
  static constexpr std::string_view kName = "cross_entropy";
  explicit CrossEntropy(double smoothing) : smoothing_(smoothing) {
    if (!(smoothing >= 0 && smoothing < 1))
      throw ArgumentError(fmt::format("cross_entropy: expected a smoothing in [0, 1), found {}", smoothing));
  }

  Shape shape(std::span<const InputInfo> in) const override {
    if (in[0].shape.rank() != 1 || in[0].shape[0] < 1 || !in[1].integer || in[1].shape.size() != 1) {
      throw ShapeError(fmt::format("cross_entropy: expected logits (classes) and one integer label, found {} and {}{}",
                                   in[0].shape.to_string(), in[1].integer ? "integers " : "", in[1].shape.to_string()));
    }
    return {};
  }
  OpCost cost(std::span<const InputInfo> in, const Shape&) const override {
    const auto entries = static_cast<double>(in[0].shape.size());
    return {.value = 10 * entries, .tangent = 2 * entries, .pullback = 3 * entries};
  }
  bool curves(std::span<const InputInfo>) const override { return true; }
  bool takes_integer(std::size_t input) const override { return input == 1; }
  // p and d.
  Index scratch(std::span<const InputInfo> in, const Shape&, const VisitSize&) const override {
    return 2 * in[0].shape.size();
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    const Index n = x.size;
    T* p = visit.scratch;
    T* d = p + n;
    for (Index r = 0; r < y.rows; ++r) {
      const Index label = checked_label(visit.in[1], r, n);
      const T* x_row = x.value_row(r);
      const LogTotal<T> total = softmax_row(x_row, p, n);
      y.value[r] = total.rest - at_target(x_row, total.largest, label, n);
      if (visit.tangents > 0) gradient_row(p, label, n, d);
      for (Index k = 0; k < visit.tangents; ++k) {
        const T* x_dot = x.tangent_row(k, r);
        *y.tangent_row(k, r) = dot(d, x_dot, n);
        if (!y.second) continue;
        T second = variance_under(p, Centred<T>(p, x_dot, n, total.at), n);
        if (x.second) second += dot(d, x.second_row(k, r), n);
        *y.second_row(k, r) = second;
      }
    }
  }

  // x̄ = (p − t) ȳ.
  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[0];
    if (!target) return;
    const Index n = visit.in[0].size;
    T* p = visit.scratch;
    T* d = p + n;
    if (visit.in[0].shared() && !target.accumulate) std::fill_n(target.data, n, T{0});
    const bool add = target.accumulate || visit.in[0].shared();
    for (Index r = 0; r < visit.out.rows; ++r) {
      softmax_row(visit.in[0].value_row(r), p, n);
      gradient_row(p, checked_label(visit.in[1], r, n), n, d);
      T* to = target.data + visit.in[0].row(r);
      for (Index i = 0; i < n; ++i) to[i] = (add ? to[i] : T{0}) + d[i] * visit.cotangent[r];
    }
  }

 private:
  template <class T>
  static Index checked_label(const Jet<T>& labels, Index r, Index classes) {
    const Index label = labels.index[labels.row(r)];
    if (label < 0 || label >= classes) {
      throw ArgumentError(fmt::format("cross_entropy: label {} at row {}: expected 0 to {}", label, r, classes - 1));
    }
    return label;
  }
  // Writes d = p − t; at the label p − 1 is −Σ of the other p.
  template <class T>
  void gradient_row(const T* p, Index label, Index n, T* d) const {
    const T share = static_cast<T>(smoothing_) / static_cast<T>(n);
    T others{0};
    for (Index i = 0; i < n; ++i) {
      d[i] = p[i] - share;
      if (i != label) others += p[i];
    }
    d[label] = static_cast<T>(smoothing_) - share - others;
  }
  // t · (x − largest).
  template <class T>
  T at_target(const T* x, T largest, Index label, Index n) const {
    const T labelled = static_cast<T>(1 - smoothing_) * (x[label] - largest);
    if (smoothing_ == 0) return labelled;
    T sum{0};
    for (Index i = 0; i < n; ++i) sum += x[i] - largest;
    return labelled + static_cast<T>(smoothing_) / static_cast<T>(n) * sum;
  }

  double smoothing_;
};

}  // namespace

Node cross_entropy(const Node& logits, const Node& label, double smoothing) {
  return Builder(logits).apply(std::make_shared<CrossEntropy>(smoothing), {logits, label});
}
Node mean_squared_error(const Node& x, const Node& target) {
  return mean(square(sub(x, target)));
}

std::vector<OpEntry> losses_examples() {
  std::vector<OpEntry> ops;
  ops.push_back(
      {"cross_entropy",
       {{"logits", {5}, [](const Node& x) { return cross_entropy(x, Builder(x).indices("label", {})); }, -2, 2, 5},
        {"smoothed",
         {5},
         [](const Node& x) { return cross_entropy(x, Builder(x).indices("label", {}), 0.1); },
         -2,
         2,
         5},
        {"of squares",
         {4},
         [](const Node& x) { return cross_entropy(square(x), Builder(x).indices("label", {}), 0.2); },
         -2,
         2,
         4},
        {"shared logits",
         {},
         [](const Node& x) { return x * cross_entropy(shared(x, "logits", {3}, 3), Builder(x).indices("label", {})); },
         -2,
         2,
         3}}});
  return ops;
}

}  // namespace slopewise
