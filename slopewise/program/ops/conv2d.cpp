// conv2d: y = W ⋆ x + b. Each image becomes its patches P (positions, kernel² in), so that y = P Wᵀ + b:
//   ẏ = Ṗ Wᵀ + P Vᵀ + ḃ,  ÿ = P̈ Wᵀ + 2 Ṗ Vᵀ + P Ẅᵀ + b̈;  for V = u wᵀ the product P Vᵀ is (P w) uᵀ, one channel's work.
//   W̄ = Σ ȳᵀ P,  b̄ = Σ ȳ,  x̄: the patches of ȳ W, added back where they came from.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Parts the weight gradient of a batch is summed in: fixed, so that the sum does not depend on the threads.
constexpr Index kParts = 8;

class Conv2d final : public OpRules<Conv2d> {
 public:
  static constexpr std::string_view kName = "conv2d";
  Conv2d(const Shape& x, const Node& weight, Conv2dOptions options)
      : stride_(options.stride), padding_(options.padding) {
    const Shape& w = weight.shape();
    if (x.rank() != 3 || w.rank() != 4 || w[1] != w[2] || w[3] != x[2] || !weight.shared()) {
      throw ShapeError(
          fmt::format("conv2d: expected x (height, width, in) and a weight (out, kernel, kernel, in) shared by all "
                      "examples, found {} and {}",
                      x.to_string(), w.to_string()));
    }
    if (stride_ < 1 || padding_ < 0 || x[0] + 2 * padding_ < w[1] || x[1] + 2 * padding_ < w[1]) {
      throw ShapeError(fmt::format("conv2d: kernel {} with stride {} and padding {} does not fit x {}", w[1], stride_,
                                   padding_, x.to_string()));
    }
    height_ = x[0];
    width_ = x[1];
    channels_ = x[2];
    outputs_ = w[0];
    kernel_ = w[1];
    out_height_ = (height_ + 2 * padding_ - kernel_) / stride_ + 1;
    out_width_ = (width_ + 2 * padding_ - kernel_) / stride_ + 1;
    patch_ = kernel_ * kernel_ * channels_;
    positions_ = out_height_ * out_width_;
  }

  Shape shape(std::span<const InputInfo> in) const override {
    if (in.size() > 2 && (in[2].shape != Shape{outputs_} || !in[2].shared)) {
      throw ShapeError(
          fmt::format("conv2d: expected a bias of shape ({}), found {}", outputs_, in[2].shape.to_string()));
    }
    return {out_height_, out_width_, outputs_};
  }
  OpCost cost(std::span<const InputInfo> in, const Shape&) const override {
    const double product =
        2 * static_cast<double>(positions_) * static_cast<double>(patch_) * static_cast<double>(outputs_);
    const double structured = 2 * static_cast<double>(positions_) * static_cast<double>(patch_ + outputs_);
    return {.value = product,
            .tangent = (in[0].active ? product : 0) + (in[1].active ? (in[1].rank_one ? structured : product) : 0),
            .pullback = product * (in[0].active + in[1].active)};
  }
  bool curves(std::span<const InputInfo> in) const override { return in[0].active && in[1].active; }
  bool takes_rank_one(std::size_t input) const override { return input == 1; }
  bool takes_packed(std::size_t input) const override { return input == 1; }
  Index scratch(std::span<const InputInfo>, const Shape&, const VisitSize& visit) const override {
    return visit.pullback ? kParts * (positions_ * patch_ + outputs_ * patch_) : 2 * positions_ * patch_;
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& weight = visit.in[1];
    const Jet<T>& y = visit.out;
    const Jet<T>* bias = visit.in.size() > 2 ? &visit.in[2] : nullptr;
    T* patches = visit.scratch;
    T* moved = patches + positions_ * patch_;  // the patches of a tangent
    for (Index r = 0; r < y.rows; ++r) {
      gather(x.value_row(r), patches);
      through(weight, patches, y.value_row(r));
      if (bias) add_to_positions(bias->value, y.value_row(r));
      for (Index k = 0; k < visit.tangents; ++k) {
        T* y_dot = y.tangent_row(k, r);
        T* y_second = y.second ? y.second_row(k, r) : nullptr;
        if (y_second) std::fill_n(y_second, y.size, T{0});
        if (x.second) {
          gather(x.second_row(k, r), moved);
          through(weight, moved, y_second);
        }
        if (x.tangent) {
          gather(x.tangent_row(k, r), moved);
          through(weight, moved, y_dot);
          if (y_second) add_weight_tangent(weight, k, T{2}, moved, y_second);
        } else {
          std::fill_n(y_dot, y.size, T{0});
        }
        add_weight_tangent(weight, k, T{1}, patches, y_dot);
        if (bias && bias->tangent) add_to_positions(bias->tangent + k * outputs_, y_dot);
        if (y_second && weight.second) add_product(weight.second + k * outputs_ * patch_, T{1}, patches, y_second);
        if (y_second && bias && bias->second) add_to_positions(bias->second + k * outputs_, y_second);
      }
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    if (const Cotangent<T>& target = visit.in_cotangents[0]) {
      T* patches = visit.scratch;
      for (Index r = 0; r < visit.out.rows; ++r) {
        T* to = target.data + x.row(r);
        if (!target.accumulate && (r == 0 || !x.shared())) std::fill_n(to, x.size, T{0});
        if constexpr (std::is_same_v<T, float>) {
          if (visit.in[1].packed)
            visit.in[1].packed->multiply_transposed(positions_, visit.cotangent + r * visit.out.size, 0, patches);
        }
        if (!visit.in[1].packed)
          matmul<T>(positions_, patch_, outputs_, T{1}, {visit.cotangent + r * visit.out.size, outputs_},
                    {visit.in[1].value, patch_}, T{0}, patches, patch_);
        scatter(patches, to);
      }
    }
    if (const Cotangent<T>& target = visit.in_cotangents[1]) pull_weight(visit, target);
    if (visit.in.size() < 3) return;
    if (const Cotangent<T>& target = visit.in_cotangents[2]) {
      if (!target.accumulate) std::fill_n(target.data, outputs_, T{0});
      for (Index i = 0; i < visit.out.rows * positions_; ++i)
        axpy(T{1}, visit.cotangent + i * outputs_, target.data, outputs_);
    }
  }

 private:
  // Sums ȳᵀ P over the examples, part by part.
  template <class T>
  void pull_weight(const Pull<T>& visit, const Cotangent<T>& target) const {
    const Index rows = visit.out.rows;
    const Index weights = outputs_ * patch_;
    const Index parts = std::min(kParts, rows);
    parallel_for(parts, [&](Index part) {
      T* patches = visit.scratch + part * (positions_ * patch_ + weights);
      T* total = patches + positions_ * patch_;
      std::fill_n(total, weights, T{0});
      for (Index r = rows * part / parts; r < rows * (part + 1) / parts; ++r) {
        gather(visit.in[0].value_row(r), patches);
        matmul<T>(outputs_, patch_, positions_, T{1}, {visit.cotangent + r * visit.out.size, outputs_, true},
                  {patches, patch_}, T{1}, total, patch_);
      }
    });
    if (!target.accumulate) std::fill_n(target.data, weights, T{0});
    for (Index part = 0; part < parts; ++part) {
      axpy(T{1}, visit.scratch + part * (positions_ * patch_ + weights) + positions_ * patch_, target.data, weights);
    }
  }

  // Calls visit(patch entry, image entry or −1 in the padding, run) for each run of channels.
  template <class F>
  void each_run(F visit) const {
    Index at = 0;
    for (Index oy = 0; oy < out_height_; ++oy) {
      for (Index ox = 0; ox < out_width_; ++ox) {
        for (Index ky = 0; ky < kernel_; ++ky) {
          const Index iy = oy * stride_ + ky - padding_;
          for (Index kx = 0; kx < kernel_; ++kx) {
            const Index ix = ox * stride_ + kx - padding_;
            const bool inside = iy >= 0 && iy < height_ && ix >= 0 && ix < width_;
            visit(at, inside ? (iy * width_ + ix) * channels_ : Index{-1});
            at += channels_;
          }
        }
      }
    }
  }
  template <class T>
  void gather(const T* image, T* patches) const {
    each_run([&](Index to, Index from) {
      if (from >= 0) {
        std::copy_n(image + from, channels_, patches + to);
      } else {
        std::fill_n(patches + to, channels_, T{0});
      }
    });
  }
  template <class T>
  void scatter(const T* patches, T* image) const {
    each_run([&](Index from, Index to) {
      if (to >= 0) axpy(T{1}, patches + from, image + to, channels_);
    });
  }

  // y = P Wᵀ.
  template <class T>
  void through(const Jet<T>& weight, const T* patches, T* y) const {
    if constexpr (std::is_same_v<T, float>) {
      if (weight.packed) return weight.packed->multiply(positions_, patches, y);
    }
    matmul<T>(positions_, outputs_, patch_, T{1}, {patches, patch_}, {weight.value, patch_, true}, T{0}, y, outputs_);
  }
  // y += factor P Aᵀ.
  template <class T>
  void add_product(const T* a, T factor, const T* patches, T* y) const {
    matmul<T>(positions_, outputs_, patch_, factor, {patches, patch_}, {a, patch_, true}, T{1}, y, outputs_);
  }
  template <class T>
  void add_weight_tangent(const Jet<T>& weight, Index k, T factor, const T* patches, T* y) const {
    if (weight.tangent) add_product(weight.tangent + k * outputs_ * patch_, factor, patches, y);
    if (!weight.rank_one.left) return;
    const T* left = weight.rank_one.left + k * outputs_;
    const T* right = weight.rank_one.right + k * patch_;
    for (Index i = 0; i < positions_; ++i)
      axpy(factor * dot(right, patches + i * patch_, patch_), left, y + i * outputs_, outputs_);
  }
  template <class T>
  void add_to_positions(const T* row, T* y) const {
    for (Index i = 0; i < positions_; ++i) axpy(T{1}, row, y + i * outputs_, outputs_);
  }

  Index stride_, padding_;
  Index height_ = 0, width_ = 0, channels_ = 0, outputs_ = 0, kernel_ = 0;
  Index out_height_ = 0, out_width_ = 0, patch_ = 0, positions_ = 0;
};

}  // namespace

Node conv2d(const Node& x, const Node& weight, const Node& bias, Conv2dOptions options) {
  return Builder(x).apply(std::make_shared<Conv2d>(x.shape(), weight, options), {x, weight, bias});
}

Node conv2d(const Node& x, Index outputs, Index kernel, Conv2dOptions options) {
  if (x.shape().rank() != 3 || outputs < 1 || kernel < 1) {
    throw ShapeError(
        fmt::format("conv2d: expected x (height, width, in), outputs and a kernel of at least 1, found {}, {} and {}",
                    x.shape().to_string(), outputs, kernel));
  }
  Builder build(x);
  const std::string name = x.graph()->numbered("conv2d");
  const Index channels = x.shape()[2];
  const auto taps = static_cast<double>(kernel * kernel);
  const Initializer he{.kind = Initializer::Kind::kHe,
                       .fan_in = taps * static_cast<double>(channels),
                       .fan_out = taps * static_cast<double>(outputs)};
  const Node weight = build.parameter(name + ".weight", {outputs, kernel, kernel, channels}, he, outputs);
  return conv2d(x, weight, build.bias(name + ".bias", weight), options);
}

}  // namespace slopewise
