// softmax and log softmax over the last axis. With p = softmax(x) and ⟨·,·⟩ the sum over that axis:
//   p:      ṗ = p (ẋ − ⟨p, ẋ⟩)         p̈ = ṗ (ẋ − ⟨p, ẋ⟩) + p (ẍ − ⟨ṗ, ẋ⟩ − ⟨p, ẍ⟩)
//   log p:  ẋ − ⟨p, ẋ⟩                 ẍ − ⟨ṗ, ẋ⟩ − ⟨p, ẍ⟩
// A row with +inf or NaN gives NaN; −inf has probability 0. Differences from 1 − p are made from the other p.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/rows.hpp"
#include "slopewise/program/ops/softmax_row.hpp"

namespace slopewise {
namespace {

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

template <bool Log>
Node along(const Node& x, Index axis) {
  if (x.shape().rank() == 0) last_axis(Softmax<Log>::kName, x.shape());
  return along_axis(x, axis, [](const Node& rows) {
    return Builder(rows).apply(std::make_shared<Softmax<Log>>(rows.shape()), {rows});
  });
}

}  // namespace

Node softmax(const Node& x, Index axis) {
  return along<false>(x, axis);
}
Node log_softmax(const Node& x, Index axis) {
  return along<true>(x, axis);
}

std::vector<OpEntry> softmax_examples() {
  std::vector<OpEntry> ops;
  ops.push_back({"softmax",
                 {{"vector", {6}, [](const Node& x) { return softmax(x); }},
                  {"of squares, rows", {2, 5}, [](const Node& x) { return softmax(square(x)); }},
                  {"first axis", {2, 3, 2}, [](const Node& x) { return softmax(square(x), 0); }},
                  {"one entry", {1}, [](const Node& x) { return softmax(x); }}}});
  ops.push_back({"log_softmax",
                 {{"vector", {6}, [](const Node& x) { return log_softmax(x); }},
                  {"of squares, rows", {2, 5}, [](const Node& x) { return log_softmax(square(x)); }},
                  {"middle axis", {2, 3, 2}, [](const Node& x) { return log_softmax(x, 1); }}}});
  return ops;
}

}  // namespace slopewise
