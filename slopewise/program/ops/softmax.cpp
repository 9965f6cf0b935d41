// softmax, log softmax and cross entropy over the last axis. With p = softmax(x) and ⟨·,·⟩ the sum over that axis:
//   p:      ṗ = p (ẋ − ⟨p, ẋ⟩)         p̈ = ṗ (ẋ − ⟨p, ẋ⟩) + p (ẍ − ⟨ṗ, ẋ⟩ − ⟨p, ẍ⟩)
//   log p:  ẋ − ⟨p, ẋ⟩                 ẍ − ⟨ṗ, ẋ⟩ − ⟨p, ẍ⟩
//   −log p[label]: the last row at the label, negated.
// A row with +inf or NaN gives NaN; −inf has probability 0. Differences from 1 − p are made from the other p.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// log Σ exp x as largest + rest: their sum would lose the rest beside a large x.
template <class T>
struct LogTotal {
  T largest, rest;
  Index at;  // of the largest
};

// Writes softmax(x) to p.
template <class T>
LogTotal<T> softmax_row(const T* x, T* p, Index n) {
  Index at = 0;
  for (Index i = 1; i < n; ++i) at = x[i] > x[at] ? i : at;
  const T largest = x[at];
  T others{0};  // beside the largest, whose term is 1
  for (Index i = 0; i < n; ++i) {
    // The rounding of a large difference would be as large a relative error of its exponential.
    const T gap = x[i] - largest;
    const T taken = gap - x[i];
    const T lost = (x[i] - (gap - taken)) - (largest + taken);
    const T power = std::exp(gap);
    p[i] = power == T{0} ? T{0} : power + power * lost;
    others += i == at ? p[i] - T{1} : p[i];
  }
  for (Index i = 0; i < n; ++i) p[i] /= T{1} + others;
  return {largest, std::log1p(others), at};
}

// h − ⟨p, h⟩: for the entry with the largest p, which may be next to all of it, as Σ p (h[at] − h).
template <class T>
class Centred {
 public:
  Centred(const T* p, const T* h, Index n, Index at) : h_(h), at_(at), mean_(dot(p, h, n)) {
    const T most = h[at];
    rise_ = sum_over<T>(n, [=]<class V>(Index i) { return load<V>(p + i) * (most - load<V>(h + i)); });
  }
  T operator[](Index i) const { return i == at_ ? rise_ : h_[i] - mean_; }

 private:
  const T* h_;
  Index at_;
  T mean_, rise_;
};

// ⟨ṗ, ẋ⟩ = ⟨p, ẋ²⟩ − ⟨p, ẋ⟩², the variance of ẋ under p.
template <class T>
T variance_under(const T* p, const Centred<T>& x_dot, Index n) {
  T total{0};
  for (Index i = 0; i < n; ++i) total += p[i] * x_dot[i] * x_dot[i];
  return total;
}

Index last_axis(std::string_view op, const Shape& shape) {
  if (shape.rank() < 1 || shape[-1] < 1) {
    throw ShapeError(fmt::format("{}: expected a last axis of at least one entry, found {}", op, shape.to_string()));
  }
  return shape[-1];
}

template <bool Log>
class Softmax final : public OpRules<Softmax<Log>> {
 public:
  static constexpr std::string_view kName = Log ? "log_softmax" : "softmax";
  explicit Softmax(const Shape& shape) : shape_(shape), n_(last_axis(kName, shape)) {}

  Shape shape(std::span<const InputInfo>) const override { return shape_; }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.value = 10 * entries, .tangent = 4 * entries, .pullback = 4 * entries};
  }
  Needs needs() const override { return {.inputs = false, .output = true}; }
  bool curves(std::span<const InputInfo>) const override { return true; }
  Index scratch(std::span<const InputInfo>, const Shape&, const VisitSize&) const override { return n_; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    const Index rows = y.rows * y.size / n_;
    for (Index r = 0; r < rows; ++r) {
      const T* x_row = x.value + r * n_;
      T* y_row = y.value + r * n_;
      T* p = Log ? visit.scratch : y_row;
      const LogTotal<T> total = softmax_row(x_row, p, n_);
      if (Log) {
        for (Index i = 0; i < n_; ++i) y_row[i] = (x_row[i] - total.largest) - total.rest;
      }
      for (Index k = 0; k < visit.tangents; ++k) {
        const Index at = k * y.plane + r * n_;
        push_row(p, total.at, x.tangent + at, x.second ? x.second + at : nullptr, y.tangent + at,
                 y.second ? y.second + at : nullptr);
      }
    }
  }

  // softmax: x̄ = p (ȳ − ⟨p, ȳ⟩); log softmax: x̄ = ȳ − p Σ ȳ.  Where p is 0, so is softmax's x̄, even for an infinite ȳ.
  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[0];
    if (!target) return;
    const Index rows = visit.out.rows * visit.out.size / n_;
    for (Index r = 0; r < rows; ++r) {
      const T* y = visit.out.value + r * n_;
      const T* c = visit.cotangent + r * n_;
      T* to = target.data + r * n_;
      const auto give = [&](Index i, T value) { to[i] = target.accumulate ? to[i] + value : value; };
      const Index at = std::max_element(y, y + n_) - y;
      if (Log) {
        T others{0}, total{0};  // Σ p and Σ ȳ beside the largest p
        for (Index i = 0; i < n_; ++i) {
          if (i != at) others += std::exp(y[i]);
          if (i != at) total += c[i];
        }
        for (Index i = 0; i < n_; ++i) {
          const T p = std::exp(y[i]);
          give(i, i == at ? c[at] * others - p * total : c[i] - p * (total + c[at]));
        }
      } else {
        T mean{0}, rise{0};
        for (Index i = 0; i < n_; ++i) {
          mean += pull_through(y[i], c[i]);
          rise += pull_through(y[i], c[at] - c[i]);
        }
        for (Index i = 0; i < n_; ++i) give(i, pull_through(y[i], i == at ? rise : c[i] - mean));
      }
    }
  }

 private:
  template <class T>
  void push_row(const T* p, Index at, const T* x_dot, const T* x_second, T* y_dot, T* y_second) const {
    const Centred<T> first(p, x_dot, n_, at);
    for (Index i = 0; i < n_; ++i) y_dot[i] = (Log ? T{1} : p[i]) * first[i];
    if (!y_second) return;
    const T shift = variance_under(p, first, n_);
    const auto set = [&](auto second) {
      for (Index i = 0; i < n_; ++i) {
        const T inner = second(i) - shift;
        y_second[i] = Log ? inner : y_dot[i] * first[i] + p[i] * inner;
      }
    };
    if (x_second) {
      const Centred<T> second(p, x_second, n_, at);
      set([&](Index i) { return second[i]; });
    } else {
      set([](Index) { return T{0}; });
    }
  }

  Shape shape_;
  Index n_;
};

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

Node softmax(const Node& x) {
  return Builder(x).apply(std::make_shared<Softmax<false>>(x.shape()), {x});
}
Node log_softmax(const Node& x) {
  return Builder(x).apply(std::make_shared<Softmax<true>>(x.shape()), {x});
}
Node cross_entropy(const Node& logits, const Node& label, double smoothing) {
  return Builder(logits).apply(std::make_shared<CrossEntropy>(smoothing), {logits, label});
}

}  // namespace slopewise
