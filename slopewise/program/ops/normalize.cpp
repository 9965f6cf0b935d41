// normalize over the last axis: with c = x − mean(x), r = (mean(c²) + ε)^(−1/2) and y = c r, and for a tangent d = r ċ
// and a = mean(y d),
//   ẏ = d − a y                                      as ṙ = −a r
//   ÿ = r c̈ − 2 a d + y (3 a² − mean(d²) − mean(y r c̈))
// rms_normalize: the same of c = x.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// mean((a − a_mean) (b − b_mean)).
template <class T>
T covariance(const T* a, T a_mean, const T* b, T b_mean, Index n) {
  return sum_over<T>(n, [=]<class V>(Index i) { return (load<V>(a + i) - a_mean) * (load<V>(b + i) - b_mean); }) /
         static_cast<T>(n);
}

// mean((r (a − a_mean))²).
template <class T>
T mean_square(T r, const T* a, T a_mean, Index n) {
  return sum_over<T>(n,
                     [=]<class V>(Index i) {
                       const V d = r * (load<V>(a + i) - a_mean);
                       return d * d;
                     }) /
         static_cast<T>(n);
}

template <bool Centred>
class Normalize final : public OpRules<Normalize<Centred>> {
 public:
  static constexpr std::string_view kName = Centred ? "normalize" : "rms_normalize";
  Normalize(const Shape& shape, double epsilon) : epsilon_(epsilon) {
    if (shape.rank() < 1 || shape[-1] < 1) {
      throw ShapeError(
          fmt::format("{}: expected a last axis of at least one entry, found {}", kName, shape.to_string()));
    }
    n_ = shape[-1];
  }

  Shape shape(std::span<const InputInfo> in) const override { return in[0].shape; }
  std::optional<NarrowOp> narrowed(std::span<const InputInfo>, const Shape& out, const Range& at) const override {
    if (at.axis == out.rank() - 1) return {};
    return NarrowOp{.op = nullptr, .axes = {at.axis}};
  }
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
      T* out = y.value + row * n_;
      const T mean = centre(value);
      const T r = inverse_deviation(value, mean);
      for (Index i = 0; i < n_; ++i) out[i] = (value[i] - mean) * r;
      for (Index k = 0; k < visit.tangents; ++k) {
        const Index at = k * y.plane + row * n_;
        const T* dot = x.tangent + at;
        const T dot_mean = centre(dot);
        const T a = r * covariance(out, T{0}, dot, dot_mean, n_);
        if (y.second) {
          const T* second = x.second ? x.second + at : nullptr;
          const T second_mean = second ? centre(second) : T{0};
          const T bend = T{3} * a * a - mean_square(r, dot, dot_mean, n_) -
                         (second ? r * covariance(out, T{0}, second, second_mean, n_) : T{0});
          for (Index i = 0; i < n_; ++i) {
            y.second[at + i] =
                (second ? r * (second[i] - second_mean) : T{0}) - T{2} * a * r * (dot[i] - dot_mean) + out[i] * bend;
          }
        }
        for (Index i = 0; i < n_; ++i) y.tangent[at + i] = r * (dot[i] - dot_mean) - a * out[i];
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
      const T mean = centre(value);
      const T c_mean = centre(c);
      const T r = inverse_deviation(value, mean);
      const T slope = r * covariance(value, mean, c, c_mean, n_);  // mean(y ȳ), as c ⟂ constants after centring
      for (Index i = 0; i < n_; ++i) {
        const T piece = r * (c[i] - c_mean - (value[i] - mean) * r * slope);
        to[i] = target.accumulate ? to[i] + piece : piece;
      }
    }
  }

 private:
  // What is taken from each of n entries.
  template <class T>
  T centre(const T* x) const {
    return Centred ? sum_of(x, n_) / static_cast<T>(n_) : T{0};
  }
  // r, also where squares overflow or, beside a small ε, underflow.
  template <class T>
  T inverse_deviation(const T* x, T mean) const {
    using Range = std::numeric_limits<T>;
    const T variance = covariance(x, mean, x, mean, n_);
    const auto epsilon = static_cast<T>(epsilon_);
    if (variance + epsilon >= Range::min() / Range::epsilon() && variance <= Range::max()) {
      return T{1} / std::sqrt(variance + epsilon);
    }
    T size{0};
    for (Index i = 0; i < n_; ++i) size = std::max(size, std::abs(x[i] - mean));
    if (size == T{0}) return T{1} / std::sqrt(epsilon);
    T square{0};
    for (Index i = 0; i < n_; ++i) square += (x[i] - mean) / size * ((x[i] - mean) / size);
    return T{1} / std::sqrt(square / static_cast<T>(n_) + epsilon / size / size) / size;
  }

  double epsilon_;
  Index n_ = 1;
};

}  // namespace

Node normalize(const Node& x, double epsilon) {
  return Builder(x).apply(std::make_shared<Normalize<true>>(x.shape(), epsilon), {x});
}
Node rms_normalize(const Node& x, double epsilon) {
  return Builder(x).apply(std::make_shared<Normalize<false>>(x.shape(), epsilon), {x});
}

Node layer_norm(const Node& x, double epsilon) {
  const Node y = normalize(x, epsilon);
  Builder build(x);
  const std::string name = x.graph()->numbered("layer_norm");
  const Index width = x.shape()[-1];
  const Node gain = build.parameter(name + ".weight", {width}, {.kind = Initializer::Kind::kOne}, width);
  const Node bias = build.parameter(name + ".bias", {width}, {}, width);
  return scale_shift(y, gain, bias);
}

std::vector<OpEntry> normalize_examples() {
  std::vector<OpEntry> ops;
  ops.push_back(
      {"normalize",
       {{"vector", {6}, [](const Node& x) { return normalize(x); }},
        {"of squares, rows", {2, 4}, [](const Node& x) { return normalize(square(x)); }},
        {"layer norm", {5}, [](const Node& x) { return layer_norm(linear(x, 4)); }},
        {"layer norm over two axes, gain computed from weights",
         {2, 3, 2},
         [](const Node& x) {
           return layer_norm(x, square(shared(x, "g", {3, 2}, 3)), shared(x, "b", {3, 2}, 3), 2, 1e-3);
         }},
        {"groups of channels",
         {3, 2, 6},
         [](const Node& x) { return group_norm(square(x), 3, shared(x, "g", {6}, 6), shared(x, "b", {6}, 6)); }},
        {"channels by themselves", {4, 3}, [](const Node& x) {
           return instance_norm(square(x), shared(x, "g", {3}, 3), shared(x, "b", {3}, 3), 1e-2);
         }}}});
  ops.push_back({"rms_normalize",
                 {{"vector", {6}, [](const Node& x) { return rms_normalize(x); }},
                  {"of squares, rows", {2, 4}, [](const Node& x) { return rms_normalize(square(x)); }},
                  {"one entry", {2, 1}, [](const Node& x) { return rms_normalize(x, 0.5); }},
                  {"with gain", {3, 4}, [](const Node& x) { return rms_norm(x, shared(x, "g", {4}, 4)); }}}});
  return ops;
}

}  // namespace slopewise
