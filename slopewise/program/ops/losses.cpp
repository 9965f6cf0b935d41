// Cross entropy, squared and Huber error. With p = softmax(x), the cross entropy's tangents are those of −log p[label]
// (ops/softmax.cpp): (p − t) · ẋ, and ⟨ṗ, ẋ⟩ + (p − t) · ẍ.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/binary.hpp"
#include "slopewise/program/ops/elementwise.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/softmax_row.hpp"

namespace slopewise {
namespace {

// W lse(x) − t · x with the target t[c] = w[c] ((1 − ε) [c = label] + ε/n) and W = Σ t, over Σ w[label] of the
// example's positions. Its gradient d = W p − t is made without the difference p − 1.
class CrossEntropy final : public OpRules<CrossEntropy> {
 public:
  static constexpr std::string_view kName = "cross_entropy";
  explicit CrossEntropy(CrossEntropyOptions options) : options_(std::move(options)) {
    if (!(options_.smoothing >= 0 && options_.smoothing < 1)) {
      throw ArgumentError(fmt::format("cross_entropy: expected a smoothing in [0, 1), found {}", options_.smoothing));
    }
    for (const double weight : options_.class_weights) {
      if (!(weight >= 0 && std::isfinite(weight)))
        throw ArgumentError(fmt::format("cross_entropy: expected class weights from 0 on, found {}", weight));
      all_weights_ += weight;
    }
  }

  Shape shape(std::span<const InputInfo> in) const override {
    const Shape& logits = in[0].shape;
    const bool rows = logits.rank() >= 1 && logits[-1] >= 1 && in[1].integer &&
                      in[1].shape == Shape(std::vector<Index>(logits.begin(), logits.end() - 1));
    if (!rows) {
      throw ShapeError(
          fmt::format("cross_entropy: expected logits (…, classes) and integer labels (…), found {} and {}{}",
                      logits.to_string(), in[1].integer ? "integers " : "", in[1].shape.to_string()));
    }
    if (!options_.class_weights.empty() && static_cast<Index>(options_.class_weights.size()) != logits[-1]) {
      throw ShapeError(fmt::format("cross_entropy: expected a weight for each class of logits {}, found {}",
                                   logits.to_string(), options_.class_weights.size()));
    }
    return {};
  }
  OpCost cost(std::span<const InputInfo> in, const Shape&) const override {
    const auto entries = static_cast<double>(in[0].shape.size());
    return {.value = 10 * entries, .tangent = 2 * entries, .pullback = 3 * entries};
  }
  bool curves(std::span<const InputInfo>) const override { return true; }
  InputTraits takes(std::size_t input) const override { return {.integer = input == 1}; }
  // p and d of one position.
  Index scratch(std::span<const InputInfo> in, const Shape&, const VisitSize&) const override {
    return 2 * in[0].shape[-1];
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& labels = visit.in[1];
    const Jet<T>& y = visit.out;
    const Index positions = labels.size, n = positions > 0 ? x.size / positions : 0;
    T* p = visit.scratch;
    T* d = p + n;
    for (Index r = 0; r < y.rows; ++r) {
      y.value[r] = T{0};
      for (Index k = 0; k < visit.tangents; ++k) {
        *y.tangent_row(k, r) = T{0};
        if (y.second) *y.second_row(k, r) = T{0};
      }
      const T share = share_of<T>(labels, r, n);
      for (Index position = 0; position < positions; ++position) {
        const Index label = labels.index[labels.row(r) + position];
        if (!counts(label)) continue;
        const T* x_row = x.value_row(r) + position * n;
        const LogTotal<T> total = softmax_row(x_row, p, n);
        const T all = static_cast<T>(target_total(label, n));
        y.value[r] += share * (all * total.rest - at_target(x_row, total.largest, label, n));
        if (visit.tangents > 0) gradient_row(p, label, n, d);
        for (Index k = 0; k < visit.tangents; ++k) {
          const T* x_dot = x.tangent_row(k, r) + position * n;
          *y.tangent_row(k, r) += share * dot(d, x_dot, n);
          if (!y.second) continue;
          T second = all * variance_under(p, Centred<T>(p, x_dot, n, total.at), n);
          if (x.second) second += dot(d, x.second_row(k, r) + position * n, n);
          *y.second_row(k, r) += share * second;
        }
      }
    }
  }

  // x̄ = d ȳ, over Σ w[label].
  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[0];
    if (!target) return;
    const Jet<T>& x = visit.in[0];
    const Jet<T>& labels = visit.in[1];
    const Index positions = labels.size, n = positions > 0 ? x.size / positions : 0;
    T* p = visit.scratch;
    T* d = p + n;
    if (!target.accumulate) std::fill_n(target.data, x.rows * x.size, T{0});
    for (Index r = 0; r < visit.out.rows; ++r) {
      const T share = share_of<T>(labels, r, n) * visit.cotangent[r];
      for (Index position = 0; position < positions; ++position) {
        const Index label = labels.index[labels.row(r) + position];
        if (!counts(label)) continue;
        softmax_row(x.value_row(r) + position * n, p, n);
        gradient_row(p, label, n, d);
        T* to = target.data + x.row(r) + position * n;
        for (Index i = 0; i < n; ++i) to[i] += d[i] * share;
      }
    }
  }

 private:
  bool counts(Index label) const { return !options_.ignored || label != *options_.ignored; }
  double weight(Index c) const { return options_.class_weights.empty() ? 1 : options_.class_weights[c]; }
  // Σ w over the classes.
  double all_weights(Index n) const { return options_.class_weights.empty() ? static_cast<double>(n) : all_weights_; }
  // W.
  double target_total(Index label, Index n) const {
    return (1 - options_.smoothing) * weight(label) + options_.smoothing / static_cast<double>(n) * all_weights(n);
  }
  // One over Σ w[label] of row r. Throws for a label that is no class.
  template <class T>
  T share_of(const Jet<T>& labels, Index r, Index classes) const {
    double total = 0;
    for (Index position = 0; position < labels.size; ++position) {
      const Index label = labels.index[labels.row(r) + position];
      if (!counts(label)) continue;
      if (label < 0 || label >= classes) {
        throw ArgumentError(fmt::format("cross_entropy: label {} at row {}: expected 0 to {}", label, r, classes - 1));
      }
      total += weight(label);
    }
    return total > 0 ? static_cast<T>(1 / total) : T{0};
  }
  // Writes d = W p − t; at the label W (p − 1) + (W − t) is made of the other p.
  template <class T>
  void gradient_row(const T* p, Index label, Index n, T* d) const {
    const double smooth = options_.smoothing / static_cast<double>(n);
    const T all = static_cast<T>(target_total(label, n));
    T others{0};
    for (Index i = 0; i < n; ++i) {
      d[i] = all * p[i] - static_cast<T>(smooth * weight(i));
      if (i != label) others += p[i];
    }
    d[label] = static_cast<T>(smooth * (all_weights(n) - weight(label))) - all * others;
  }
  // t · (x − largest).
  template <class T>
  T at_target(const T* x, T largest, Index label, Index n) const {
    const T labelled = static_cast<T>((1 - options_.smoothing) * weight(label)) * (x[label] - largest);
    if (options_.smoothing == 0) return labelled;
    T sum{0};
    for (Index i = 0; i < n; ++i) sum += static_cast<T>(weight(i)) * (x[i] - largest);
    return labelled + static_cast<T>(options_.smoothing / static_cast<double>(n)) * sum;
  }

  CrossEntropyOptions options_;
  double all_weights_ = 0;
};

// huber: y = d²/2 for |d| ≤ δ, δ (|d| − δ/2) beyond.  y′ = min(max(d, −δ), δ),  y″ = 1 within, at ±δ too.
struct Huber {
  static constexpr std::string_view kName = "huber";
  double delta;
  template <class V>
  Local<V> local(V d) const {
    const V most = static_cast<V>(delta), size = std::abs(d);
    const bool inside = !(size > most);
    return {.value = inside ? d * d / V{2} : most * (size - most / V{2}),
            .slope = inside ? d : std::copysign(most, d),
            .curvature = inside ? V{1} : V{0}};
  }
};

// binary cross entropy: y = log(1 + e^x) − t x.  With s = sigmoid(x): f_x = s − t, f_t = −x, f_xx = s (1 − s), f_xt =
// −1. All are made from e = e^−|x|, so that a target of 0 or 1 costs no digits near certainty.
struct BinaryCrossEntropy : PairRule {
  static constexpr std::string_view kName = "binary_cross_entropy";
  static constexpr double kFlops = 12;
  template <class V>
  PairLocal<V> local(V x, V t) const {
    const bool positive = x > V{0};
    const V e = std::exp(-std::abs(x));
    const V rest = e / (V{1} + e);  // sigmoid(−|x|)
    return {.value = std::log1p(e) + (positive ? x * (V{1} - t) : -x * t),
            .slope_a = positive ? (V{1} - t) - rest : rest - t,
            .slope_b = -x,
            .curve_aa = rest / (V{1} + e),
            .curve_ab = V{-1},
            .curve_bb = V{0}};
  }
};

}  // namespace

Node cross_entropy(const Node& logits, const Node& label, const CrossEntropyOptions& options) {
  return Builder(logits).apply(std::make_shared<CrossEntropy>(options), {logits, label});
}
Node cross_entropy(const Node& logits, const Node& label, double smoothing) {
  return cross_entropy(logits, label, CrossEntropyOptions{.smoothing = smoothing});
}
Node mean_squared_error(const Node& x, const Node& target) {
  return mean(square(sub(x, target)));
}
Node huber(const Node& x, const Node& target, double delta) {
  if (!(delta > 0)) throw ArgumentError(fmt::format("huber: expected a delta above 0, found {}", delta));
  return mean(unary(sub(x, target), Huber{delta}));
}
Node binary_cross_entropy(const Node& logits, const Node& target) {
  return mean(binary<BinaryCrossEntropy>(logits, target));
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
  const auto labelled = [&](std::string description, Shape shape, CrossEntropyOptions options) {
    const Shape labels(std::vector<Index>(shape.begin(), shape.end() - 1));
    ops.back().examples.push_back(
        {std::move(description), std::move(shape),
         [=](const Node& x) { return cross_entropy(square(x), Builder(x).indices("label", labels), options); }, -2, 2,
         3});
  };
  labelled("positions", {2, 2, 3}, {});
  labelled("ignored positions", {4, 3}, {.ignored = 1});
  labelled("all options", {4, 3}, {.smoothing = 0.2, .ignored = 0, .class_weights = {1, 0.5, 2}});
  labelled("no position", {0, 3}, {});
  ops.push_back({"huber",
                 {{"within", {2, 3}, [](const Node& x) { return huber(x, scale(x, 0.5), 2); }},
                  {"beyond", {3}, [](const Node& x) { return huber(x, scale(square(x), -1), 0.25); }, 0.5, 2}}});
  ops.push_back(
      {"binary_cross_entropy",
       {{"held targets", {3}, [](const Node& x) { return binary_cross_entropy(x, Builder(x).input("t", {3})); }},
        {"targets that vary", {3}, [](const Node& x) { return binary_cross_entropy(square(x), sigmoid(x)); }}}});
  return ops;
}

}  // namespace slopewise
