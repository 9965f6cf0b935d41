// normalize over the last axis: with c = x − mean(x), v = mean(c²) + ε and r = v^(−1/2), y = c r.
//   v̇ = 2 mean(c ċ),  ṙ = −½ r³ v̇,              ẏ = ċ r + c ṙ
//   v̈ = 2 mean(ċ² + c c̈),  r̈ = ¾ r⁵ v̇² − ½ r³ v̈,  ÿ = c̈ r + 2 ċ ṙ + c r̈
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

template <class T>
T mean_of(const T* x, Index n) {
  return sum_of(x, n) / static_cast<T>(n);
}

// mean((a − a_mean) (b − b_mean)).
template <class T>
T covariance(const T* a, T a_mean, const T* b, T b_mean, Index n) {
  return sum_over<T>(n, [=]<class V>(Index i) { return (load<V>(a + i) - a_mean) * (load<V>(b + i) - b_mean); }) /
         static_cast<T>(n);
}

class Normalize final : public OpRules<Normalize> {
 public:
  static constexpr std::string_view kName = "normalize";
  Normalize(const Shape& shape, double epsilon) : epsilon_(epsilon) {
    if (shape.rank() < 1 || shape[-1] < 1) {
      throw ShapeError(
          fmt::format("normalize: expected a last axis of at least one entry, found {}", shape.to_string()));
    }
    n_ = shape[-1];
  }

  Shape shape(std::span<const InputInfo> in) const override { return in[0].shape; }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.value = 6 * entries, .tangent = 8 * entries, .pullback = 10 * entries};
  }
  bool curves(std::span<const InputInfo>) const override { return true; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    const Index rows = y.rows * y.size / n_;
    for (Index row = 0; row < rows; ++row) {
      const T* value = x.value + row * n_;
      const T mean = mean_of(value, n_);
      const T r = T{1} / std::sqrt(covariance(value, mean, value, mean, n_) + static_cast<T>(epsilon_));
      for (Index i = 0; i < n_; ++i) y.value[row * n_ + i] = (value[i] - mean) * r;
      for (Index k = 0; k < visit.tangents; ++k) {
        const Index at = k * y.plane + row * n_;
        const T* dot = x.tangent + at;
        const T dot_mean = mean_of(dot, n_);
        const T v_dot = T{2} * covariance(value, mean, dot, dot_mean, n_);
        const T r_dot = T{-0.5} * r * r * r * v_dot;
        for (Index i = 0; i < n_; ++i) y.tangent[at + i] = (dot[i] - dot_mean) * r + (value[i] - mean) * r_dot;
        if (!y.second) continue;
        const T* second = x.second ? x.second + at : nullptr;
        const T second_mean = second ? mean_of(second, n_) : T{0};
        const T v_second = T{2} * (covariance(dot, dot_mean, dot, dot_mean, n_) +
                                   (second ? covariance(value, mean, second, second_mean, n_) : T{0}));
        const T r_second = T{0.75} * r * r * r * r * r * v_dot * v_dot - T{0.5} * r * r * r * v_second;
        for (Index i = 0; i < n_; ++i) {
          y.second[at + i] = (second ? (second[i] - second_mean) * r : T{0}) + T{2} * (dot[i] - dot_mean) * r_dot +
                             (value[i] - mean) * r_second;
        }
      }
    }
  }

  // x̄ = r (ȳ − mean(ȳ) − y mean(y ȳ)).
  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[0];
    if (!target) return;
    const Index rows = visit.out.rows * visit.out.size / n_;
    for (Index row = 0; row < rows; ++row) {
      const T* value = visit.in[0].value + row * n_;
      const T* c = visit.cotangent + row * n_;
      T* to = target.data + row * n_;
      const T mean = mean_of(value, n_);
      const T c_mean = mean_of(c, n_);
      const T r = T{1} / std::sqrt(covariance(value, mean, value, mean, n_) + static_cast<T>(epsilon_));
      const T slope = covariance(value, mean, c, c_mean, n_) * r * r;  // mean(y ȳ) r, as c ⟂ constants after centring
      for (Index i = 0; i < n_; ++i) {
        const T piece = r * (c[i] - c_mean - (value[i] - mean) * slope);
        to[i] = target.accumulate ? to[i] + piece : piece;
      }
    }
  }

 private:
  double epsilon_;
  Index n_ = 1;
};

}  // namespace

Node normalize(const Node& x, double epsilon) {
  return Builder(x).apply(std::make_shared<Normalize>(x.shape(), epsilon), {x});
}

Node layer_norm(const Node& x, double epsilon) {
  const Node y = normalize(x, epsilon);
  Builder build(x);
  const std::string name = x.graph()->numbered("layer_norm");
  const Index width = x.shape()[-1];
  const Node gain = build.parameter(name + ".weight", {width}, {.kind = Initializer::Kind::kOne}, width);
  const Node bias = build.parameter(name + ".bias", {width}, {}, width);
  return y * gain + bias;
}

}  // namespace slopewise
