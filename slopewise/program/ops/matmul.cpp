// matmul: y = a b, one product an example.  ẏ = ȧ b + a ḃ,  ÿ = ä b + 2 ȧ ḃ + a b̈,  ā = ȳ bᵀ,  b̄ = aᵀ ȳ.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/matmul.hpp"

namespace slopewise {
namespace {

class MatMul final : public OpRules<MatMul> {
 public:
  static constexpr std::string_view kName = "matmul";
  MatMul(const Shape& a, const Shape& b) {
    if (a.rank() != 2 || b.rank() != 2 || a[1] != b[0]) {
      throw ShapeError(
          fmt::format("matmul: expected (m, k) and (k, n), found {} and {}", a.to_string(), b.to_string()));
    }
    m_ = a[0];
    k_ = a[1];
    n_ = b[1];
  }

  Shape shape(std::span<const InputInfo>) const override { return {m_, n_}; }
  OpCost cost(std::span<const InputInfo> in, const Shape&) const override {
    const double product = 2 * static_cast<double>(m_) * static_cast<double>(n_) * static_cast<double>(k_);
    return {.value = product,
            .tangent = product * (in[0].active + in[1].active),
            .pullback = product * (in[0].active + in[1].active)};
  }
  bool curves(std::span<const InputInfo> in) const override { return in[0].active && in[1].active; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    const Jet<T>& y = visit.out;
    for (Index r = 0; r < y.rows; ++r) {
      multiply(a.value_row(r), b.value_row(r), T{1}, T{0}, y.value_row(r));
      for (Index k = 0; k < visit.tangents; ++k) {
        T* y_dot = y.tangent_row(k, r);
        if (a.tangent) multiply(a.tangent_row(k, r), b.value_row(r), T{1}, T{0}, y_dot);
        if (b.tangent) multiply(a.value_row(r), b.tangent_row(k, r), T{1}, a.tangent ? T{1} : T{0}, y_dot);
        if (!y.second) continue;
        T* y_second = y.second_row(k, r);
        std::fill_n(y_second, y.size, T{0});
        if (a.second) multiply(a.second_row(k, r), b.value_row(r), T{1}, T{1}, y_second);
        if (a.tangent && b.tangent) multiply(a.tangent_row(k, r), b.tangent_row(k, r), T{2}, T{1}, y_second);
        if (b.second) multiply(a.value_row(r), b.second_row(k, r), T{1}, T{1}, y_second);
      }
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    for (Index r = 0; r < visit.out.rows; ++r) {
      const T* c = visit.cotangent + r * visit.out.size;
      const auto beta = [r](const Cotangent<T>& target, const Jet<T>& in) {
        return target.accumulate || (in.shared() && r > 0) ? T{1} : T{0};
      };
      if (const Cotangent<T>& target = visit.in_cotangents[0]) {
        slopewise::matmul<T>(m_, k_, n_, T{1}, {c, n_}, {b.value_row(r), n_, true}, beta(target, a),
                             target.data + a.row(r), k_);
      }
      if (const Cotangent<T>& target = visit.in_cotangents[1]) {
        slopewise::matmul<T>(k_, n_, m_, T{1}, {a.value_row(r), k_, true}, {c, n_}, beta(target, b),
                             target.data + b.row(r), n_);
      }
    }
  }

 private:
  template <class T>
  void multiply(const T* a, const T* b, T alpha, T beta, T* y) const {
    slopewise::matmul<T>(m_, n_, k_, alpha, {a, k_}, {b, n_}, beta, y, n_);
  }
  Index m_ = 0, k_ = 0, n_ = 0;
};

}  // namespace

Node matmul(const Node& a, const Node& b) {
  return Builder(a).apply(std::make_shared<MatMul>(a.shape(), b.shape()), {a, b});
}

std::vector<OpEntry> matmul_examples() {
  std::vector<OpEntry> ops;
  ops.push_back({"matmul",
                 {{"both one an example",
                   {6},
                   [](const Node& x) {
                     return matmul(reshape(x, {2, 3}), reshape(square(x), {3, 2}));
                   }},
                  {"shared right side",
                   {2, 3},
                   [](const Node& x) {
                     return matmul(x, shared(x, "b", {3, 4}, 3));
                   }},
                  {"shared left side",
                   {3, 2},
                   [](const Node& x) {
                     return matmul(shared(x, "a", {4, 3}, 4), square(x));
                   }},
                  {"both shared", {2}, [](const Node& x) {
                     return mul(matmul(shared(x, "a", {3, 3}, 3), shared(x, "b", {3, 2}, 3)), x);
                   }}}});
  return ops;
}

}  // namespace slopewise
