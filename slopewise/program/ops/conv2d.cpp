// conv2d: y = W ⋆ x + b. With P the patches (positions, kernel² in) of the images, y = P Wᵀ + b:
//   ẏ = Ṗ Wᵀ + P Vᵀ + ḃ,  ÿ = P̈ Wᵀ + 2 Ṗ Vᵀ + P Ẅᵀ + b̈;  for V = u wᵀ the product P Vᵀ is (P w) uᵀ, one channel's work.
//   W̄ = Σ ȳᵀ P,  b̄ = Σ ȳ,  x̄: the patches of ȳ W, added back where they came from.
// The positions of all examples form one sequence, worked through in strips whose patches stay in the second-level
// cache from where they are gathered to where they are last read.
#include <fmt/format.h>

#include <type_traits>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/patches.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Parts the weight gradient of a batch is summed in: fixed, so that the sum does not depend on the threads.
constexpr Index kParts = 8;
// A strip's patches and those of a tangent fill three quarters of a second-level cache of 1 MiB, within a number of
// positions that a product needs to run at speed and one that keeps the strip's outputs small; the products' kernels
// work on 6 or 8 rows at a time.
constexpr Index kStripEntries = Index{3} << 15;
constexpr Index kFewestPositions = 48;
constexpr Index kMostPositions = 768;

// A sum in the making: its first term is written, the others are added.
template <class T>
struct Sum {
  T* data;  // (positions of the strip, outputs)
  bool empty = true;

  // What the data is multiplied by before the next term is added.
  T keep() { return std::exchange(empty, false) ? T{0} : T{1}; }
};

class Conv2d final : public OpRules<Conv2d> {
 public:
  static constexpr std::string_view kName = "conv2d";
  Conv2d(const Shape& x, const Node& weight, Conv2dOptions options) {
    const Shape& w = weight.shape();
    if (x.rank() != 3 || w.rank() != 4 || w[1] != w[2] || w[3] != x[2] || !weight.shared()) {
      throw ShapeError(
          fmt::format("conv2d: expected x (height, width, in) and a weight (out, kernel, kernel, in) shared by all "
                      "examples, found {} and {}",
                      x.to_string(), w.to_string()));
    }
    if (options.stride < 1 || options.padding < 0 || std::min(x[0], x[1]) + 2 * options.padding < w[1]) {
      throw ShapeError(fmt::format("conv2d: kernel {} with stride {} and padding {} does not fit x {}", w[1],
                                   options.stride, options.padding, x.to_string()));
    }
    outputs_ = w[0];
    patches_ = Patches(x, w[1], options.stride, options.padding);
    const Index cached = kStripEntries / std::max<Index>(patches_.size(), 1) / kFewestPositions * kFewestPositions;
    strip_ = std::clamp(cached, kFewestPositions, kMostPositions);
  }

  Shape shape(std::span<const InputInfo> in) const override {
    if (in.size() > 2 && (in[2].shape != Shape{outputs_} || !in[2].shared)) {
      throw ShapeError(
          fmt::format("conv2d: expected a bias of shape ({}), found {}", outputs_, in[2].shape.to_string()));
    }
    return {patches_.out_height(), patches_.out_width(), outputs_};
  }
  OpCost cost(std::span<const InputInfo> in, const Shape&) const override {
    const auto positions = static_cast<double>(patches_.positions());
    const auto patch = static_cast<double>(patches_.size());
    const auto outputs = static_cast<double>(outputs_);
    const double product = 2 * positions * patch * outputs;
    const double structured = 2 * positions * (patch + outputs);
    return {.value = product,
            .tangent = (in[0].active ? product : 0) + (in[1].active ? (in[1].rank_one ? structured : product) : 0),
            .pullback = product * (in[0].active + in[1].active)};
  }
  bool curves(std::span<const InputInfo> in) const override { return in[0].active && in[1].active; }
  bool takes_rank_one(std::size_t input) const override { return input == 1; }
  bool takes_packed(std::size_t input) const override { return input == 1; }
  bool updates_in_place(std::size_t input) const override { return input >= 1; }
  bool finishes_rows() const override { return true; }
  // Patches of the value and of a tangent, and those in bfloat16; or, for each part, patches and the part's sum.
  Index scratch(std::span<const InputInfo>, const Shape&, const VisitSize& visit) const override {
    if (visit.pullback) return kParts * (gathered() + weights());
    return 2 * gathered() + (visit.precision != Precision::kFloat32 ? gathered() / 2 : 0);
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& weight = visit.in[1];
    const Jet<T>& y = visit.out;
    const Jet<T> bias = visit.in.size() > 2 ? visit.in[2] : Jet<T>{};
    T* patches = visit.scratch;
    T* moved = patches + gathered();  // the patches of a tangent
    each_strip(0, y.rows, [&](Strip strip) {
      const Index at = strip.first * outputs_;
      patches_.gather(x.value, strip, patches);
      Sum<T> value{y.value + at};
      multiply(visit, visit.precision == Precision::kBfloat16, strip, patches, value);
      add_by_rows<T>({}, T{0}, bias.value, strip, patches, value);
      for (Index k = 0; k < visit.tangents; ++k) {
        const T* weight_dot = weight.tangent ? weight.tangent_row(k, 0) : nullptr;
        const RankOne<T> outer = factors(weight, k);
        Sum<T> first{y.tangent_row(k, 0) + at};
        Sum<T> second{y.second ? y.second_row(k, 0) + at : nullptr};
        if (x.second) {
          patches_.gather(x.second_row(k, 0), strip, moved);
          multiply(visit, false, strip, moved, second);
        }
        if (x.tangent) {
          patches_.gather(x.tangent_row(k, 0), strip, moved);
          multiply(visit, visit.precision != Precision::kFloat32, strip, moved, first);
        }
        if (weight_dot) add_product(weight_dot, T{1}, strip, patches, first);
        add_by_rows(outer, T{1}, bias.tangent ? bias.tangent_row(k, 0) : nullptr, strip, patches, first);
        if (!y.second) continue;
        if (weight_dot && x.tangent) add_product(weight_dot, T{2}, strip, moved, second);
        if (weight.second) add_product(weight.second_row(k, 0), T{1}, strip, patches, second);
        add_by_rows(x.tangent ? outer : RankOne<T>{}, T{2}, bias.second ? bias.second_row(k, 0) : nullptr, strip, moved,
                    second);
      }
      const Index end = (strip.first + strip.count) / patches_.positions();
      for (Index r = strip.first / patches_.positions(); r < end; ++r) visit.finish(r);
    });
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    if (visit.in_cotangents[0]) pull_input(visit, visit.in_cotangents[0]);
    if (visit.in_cotangents[1]) pull_weight(visit, visit.in_cotangents[1]);
    if (visit.in.size() < 3) return;
    if (const Cotangent<T>& target = visit.in_cotangents[2]) {
      if (!target.accumulate) std::fill_n(target.data, outputs_, T{0});
      for (Index i = 0; i < visit.out.rows * patches_.positions(); ++i)
        axpy(T{1}, visit.cotangent + i * outputs_, target.data, outputs_);
    }
  }

 private:
  Index gathered() const { return strip_ * patches_.size(); }
  Index weights() const { return outputs_ * patches_.size(); }

  // The factors of tangent k of the weights; null unless it is of rank one.
  template <class T>
  RankOne<T> factors(const Jet<T>& weight, Index k) const {
    if (!weight.rank_one.left) return {};
    return {weight.rank_one.left + k * outputs_, weight.rank_one.right + k * patches_.size()};
  }

  // Calls visit(strip) for the strips of the images [first, last).
  template <class F>
  void each_strip(Index first, Index last, F visit) const {
    const Index end = last * patches_.positions();
    for (Index at = first * patches_.positions(); at < end; at += strip_) visit(Strip{at, std::min(strip_, end - at)});
  }

  // sum = P Wᵀ, the first term of any, with factors in bfloat16 if `low`.
  template <class T>
  void multiply(const Push<T>& visit, bool low, Strip strip, const T* patches, Sum<T>& sum) const {
    const Jet<T>& weight = visit.in[1];
    if constexpr (std::is_same_v<T, float>) {
      if (weight.packed) {
        sum.empty = false;
        if (!low) return weight.packed->multiply(strip.count, patches, sum.data);
        auto* rounded = reinterpret_cast<Bfloat16*>(visit.scratch + 2 * gathered());
        to_bfloat16(patches, rounded, strip.count * patches_.size());
        return weight.packed->multiply_bfloat16(strip.count, rounded, sum.data);
      }
    }
    add_product(weight.value, T{1}, strip, patches, sum);
  }
  // sum += factor P Aᵀ.
  template <class T>
  void add_product(const T* a, T factor, Strip strip, const T* patches, Sum<T>& sum) const {
    const Index patch = patches_.size();
    matmul<T>(strip.count, outputs_, patch, factor, {patches, patch}, {a, patch, true}, sum.keep(), sum.data, outputs_);
  }
  // sum += factor (P w) uᵀ + bias, in one visit of each row; without `outer` or `bias` that term is zero.
  template <class T>
  void add_by_rows(const RankOne<T>& outer, T factor, const T* bias, Strip strip, const T* patches, Sum<T>& sum) const {
    const T keep = sum.keep();
    for (Index i = 0; i < strip.count; ++i) {
      T* row = sum.data + i * outputs_;
      const T scale = outer.left ? factor * dot(outer.right, patches + i * patches_.size(), patches_.size()) : T{0};
      if (keep == T{0}) std::fill_n(row, outputs_, T{0});
      if (outer.left && bias) {
        for (Index j = 0; j < outputs_; ++j) row[j] += scale * outer.left[j] + bias[j];
      } else if (outer.left) {
        axpy(scale, outer.left, row, outputs_);
      } else if (bias) {
        axpy(T{1}, bias, row, outputs_);
      }
    }
  }

  // x̄ = the scattered P̄. Strips are cut from this visit's images alone, which no other thread writes.
  template <class T>
  void pull_input(const Pull<T>& visit, const Cotangent<T>& target) const {
    if (!target.accumulate) std::fill_n(target.data, visit.out.rows * patches_.image(), T{0});
    each_strip(0, visit.out.rows, [&](Strip strip) {
      multiply_transposed(visit.in[1], strip.count, visit.cotangent + strip.first * outputs_, visit.scratch);
      patches_.scatter(visit.scratch, strip, target.data);
    });
  }

  // P̄ = ȳ W.
  template <class T>
  void multiply_transposed(const Jet<T>& weight, Index count, const T* cotangent, T* patches) const {
    if constexpr (std::is_same_v<T, float>) {
      if (weight.packed) return weight.packed->multiply_transposed(count, cotangent, 0.0f, patches);
    }
    matmul<T>(count, patches_.size(), outputs_, T{1}, {cotangent, outputs_}, {weight.value, patches_.size()}, T{0},
              patches, patches_.size());
  }

  // Sums ȳᵀ P over the images, part by part.
  template <class T>
  void pull_weight(const Pull<T>& visit, const Cotangent<T>& target) const {
    const Index rows = visit.out.rows;
    const Index patch = patches_.size();
    const Index parts = std::min(kParts, rows);
    parallel_for(parts, [&](Index part) {
      T* patches = visit.scratch + part * (gathered() + weights());
      T* total = patches + gathered();
      std::fill_n(total, weights(), T{0});
      each_strip(rows * part / parts, rows * (part + 1) / parts, [&](Strip strip) {
        patches_.gather(visit.in[0].value, strip, patches);
        matmul<T>(outputs_, patch, strip.count, T{1}, {visit.cotangent + strip.first * outputs_, outputs_, true},
                  {patches, patch}, T{1}, total, patch);
      });
    });
    if (!target.accumulate) std::fill_n(target.data, weights(), T{0});
    for (Index part = 0; part < parts; ++part) {
      add_to(target, visit.scratch + part * (gathered() + weights()) + gathered());
    }
  }
  // Adds one part's sum (outputs, patch) to the weight's cotangent.
  template <class T>
  void add_to(const Cotangent<T>& target, const T* total) const {
    if constexpr (std::is_same_v<T, float>) {
      if (target.packed) {
        const float once = 1;
        return target.packed->add({&once, 1},
                                  [&](Index, Index first, Index, float*) { return total + first * patches_.size(); });
      }
    }
    axpy(T{1}, total, target.data, weights());
  }

  Patches patches_;
  Index outputs_ = 0;
  Index strip_ = 0;  // positions of a strip
};

}  // namespace

Node conv2d(const Node& x, const Node& weight, const Node& bias, Conv2dOptions options) {
  return Builder(x).apply(std::make_shared<Conv2d>(x.shape(), weight, options), {x, weight, bias});
}

Node conv2d(const Node& x, Index outputs, Index kernel, Conv2dOptions options, double gain) {
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
                       .fan_out = taps * static_cast<double>(outputs),
                       .gain = gain};
  const Node weight = build.parameter(name + ".weight", {outputs, kernel, kernel, channels}, he, outputs);
  return conv2d(x, weight, build.bias(name + ".bias", weight), options);
}

std::vector<OpEntry> conv2d_examples() {
  std::vector<OpEntry> ops;
  ops.push_back(
      {"conv2d",
       {{"3 by 3", {5, 6, 2}, [](const Node& x) { return conv2d(x, 3, 3); }},
        {"stride 2, padding 1", {5, 5, 1}, [](const Node& x) { return conv2d(x, 2, 3, {.stride = 2, .padding = 1}); }},
        {"two layers", {6, 6, 1}, [](const Node& x) { return conv2d(tanh(conv2d(x, 18, 3)), 2, 2, {.padding = 2}); }},
        {"weights computed from weights", {4, 4, 1}, [](const Node& x) {
           return conv2d(x, square(shared(x, "w", {2, 2, 2, 1}, 2)), square(shared(x, "b", {2}, 2)));
         }}}});
  return ops;
}

}  // namespace slopewise
