// conv: y = W ⋆ x + b. With P the patches (positions, taps · in) of the images, y = P Wᵀ + b, in each group of
// channels:
//   ẏ = Ṗ Wᵀ + P Vᵀ + ḃ,  ÿ = P̈ Wᵀ + 2 Ṗ Vᵀ + P Ẅᵀ + b̈;  for V = u wᵀ the product P Vᵀ is (P w) uᵀ, one channel's work.
//   W̄ = Σ ȳᵀ P,  b̄ = Σ ȳ,  x̄: the patches of ȳ W, added back where they came from.
// The positions of all examples form one sequence, worked through in strips whose patches stay in the second-level
// cache from where they are gathered to where they are last read. Convolutions of one channel each have rules of their
// own (depthwise.cpp); where a library reads images as they lie, nothing need be gathered (direct_conv.cpp).
#include <fmt/format.h>

#include <type_traits>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/bilinear.hpp"
#include "slopewise/program/ops/depthwise.hpp"
#include "slopewise/program/ops/direct_conv.hpp"
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
  T* data;  // (positions of the strip, outputs of the group) of row stride `outputs`
  bool empty = true;

  // What the data is multiplied by before the next term is added.
  T keep() { return std::exchange(empty, false) ? T{0} : T{1}; }
};

class Conv final : public OpRules<Conv> {
 public:
  static constexpr std::string_view kName = "conv";
  Conv(const Shape& x, const Shape& weight, const WindowAxes& axes, Index groups)
      : patches_(axes, x[-1], groups),
        out_(windows_shape(axes, x, weight[0])),
        outputs_(weight[0]),
        groups_(groups),
        own_(weight[0] / groups) {
    const Index cached = kStripEntries / std::max<Index>(patches_.size(), 1) / kFewestPositions * kFewestPositions;
    strip_ = std::clamp(cached, kFewestPositions, kMostPositions);
    if (groups == 1) direct_ = DirectConv({.axes = axes, .channels = x[-1], .outputs = outputs_});
  }

  Shape shape(std::span<const InputInfo> in) const override {
    check_bias(kName, in, outputs_);
    return out_;
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
  OpTraits traits() const override { return {.finishes_rows = true}; }
  InputTraits takes(std::size_t input) const override {
    return {.rank_one = input == 1, .packed = input == 1 && groups_ == 1, .updated_in_place = input >= 1};
  }
  // Patches of the value and of a tangent, those in bfloat16, and P w for each tangent; or what is needed without
  // patches, if more.
  Index scratch(std::span<const InputInfo> in, const Shape&, const VisitSize& visit) const override {
    if (visit.pullback) return std::max(kParts * of_part(), direct_.input_scratch());
    return std::max(2 * gathered() + rounded(visit.precision) + (in[1].rank_one ? strip_ * visit.tangents : 0),
                    visit.precision == Precision::kFloat32 ? direct_.scratch(visit.tangents, in[1].rank_one) : 0);
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    if constexpr (std::is_same_v<T, float>) {
      if (direct_.makes(visit)) return direct_.pushforward(visit);
    }
    const Jet<T>& x = visit.in[0];
    const Jet<T>& weight = visit.in[1];
    const Jet<T>& y = visit.out;
    const Jet<T> bias = visit.in.size() > 2 ? visit.in[2] : Jet<T>{};
    T* patches = visit.scratch;
    T* moved = patches + gathered();                           // the patches of a tangent
    T* along = moved + gathered() + rounded(visit.precision);  // P w, (positions, K)
    each_strip(0, y.rows, [&](Strip strip) {
      patches_.clear(strip, patches);
      if (x.tangent || x.second) patches_.clear(strip, moved);
      for (Index g = 0; g < groups_; ++g) {
        const Index at = strip.first * outputs_ + g * own_;
        const auto of_group = [&](const T* row, Index entries) { return row ? row + g * entries : nullptr; };
        const auto weights_of = [&](const T* row) { return of_group(row, own_ * patches_.size()); };
        const auto bias_of = [&](const T* row) { return of_group(row, own_); };
        patches_.gather_inside(x.value, strip, g, patches);
        Sum<T> value{y.value + at};
        multiply(visit, g, visit.precision == Precision::kBfloat16, strip, patches, value);
        add_by_rows<T>(nullptr, {}, T{0}, bias_of(bias.value), strip, value);
        if (weight.rank_one.right)
          project(weight.rank_one.right, visit.tangents, strip, patches, along, visit.tangents);
        for (Index k = 0; k < visit.tangents; ++k) {
          const T* weight_dot = weights_of(weight.tangent ? weight.tangent_row(k, 0) : nullptr);
          const T* left = weight.rank_one.left ? weight.rank_one.left + k * outputs_ + g * own_ : nullptr;
          Sum<T> first{y.tangent_row(k, 0) + at};
          Sum<T> second{y.second ? y.second_row(k, 0) + at : nullptr};
          if (x.second) {
            patches_.gather_inside(x.second_row(k, 0), strip, g, moved);
            multiply(visit, g, false, strip, moved, second);
          }
          if (x.tangent) {
            patches_.gather_inside(x.tangent_row(k, 0), strip, g, moved);
            multiply(visit, g, visit.precision != Precision::kFloat32, strip, moved, first);
          }
          if (weight_dot) add_product(weight_dot, T{1}, strip, patches, first);
          add_by_rows(left, {along + k, visit.tangents}, T{1}, bias_of(bias.tangent ? bias.tangent_row(k, 0) : nullptr),
                      strip, first);
          if (!y.second) continue;
          if (weight_dot && x.tangent) add_product(weight_dot, T{2}, strip, moved, second);
          if (weight.second) add_product(weights_of(weight.second_row(k, 0)), T{1}, strip, patches, second);
          const T* bend = x.tangent ? left : nullptr;
          // Nobody reads P w along this tangent any more.
          if (bend) project(weight.rank_one.right + k * patches_.size(), 1, strip, moved, along + k, visit.tangents);
          add_by_rows(bend, {along + k, visit.tangents}, T{2}, bias_of(bias.second ? bias.second_row(k, 0) : nullptr),
                      strip, second);
        }
      }
      const Index end = (strip.first + strip.count) / patches_.positions();
      for (Index r = strip.first / patches_.positions(); r < end; ++r) visit.finish(r);
    });
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    if (visit.in_cotangents[0]) pull_input(visit, visit.in_cotangents[0]);
    if (visit.in_cotangents[1]) pull_weight(visit, visit.in_cotangents[1]);
    if (visit.in.size() > 2) pull_bias(visit, 2);
  }

 private:
  Index gathered() const { return strip_ * patches_.size(); }
  Index weights() const { return outputs_ * patches_.size(); }
  // What a part of the weight's gradient takes: its sum, and patches or a library's scratch.
  Index of_part() const { return weights() + std::max(gathered(), direct_.weight_scratch()); }

  Index rounded(Precision precision) const { return precision == Precision::kFloat32 ? 0 : gathered() / 2; }

  // Calls visit(strip) for the strips of the images [first, last).
  template <class F>
  void each_strip(Index first, Index last, F visit) const {
    const Index end = last * patches_.positions();
    for (Index at = first * patches_.positions(); at < end; at += strip_) visit(Strip{at, std::min(strip_, end - at)});
  }

  // sum = P Wᵀ of group g, the first term of any, with factors in bfloat16 if `low`.
  template <class T>
  void multiply(const Push<T>& visit, Index g, bool low, Strip strip, const T* patches, Sum<T>& sum) const {
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
    add_product(weight.value + g * own_ * patches_.size(), T{1}, strip, patches, sum);
  }
  // sum += factor P Aᵀ.
  template <class T>
  void add_product(const T* a, T factor, Strip strip, const T* patches, Sum<T>& sum) const {
    const Index patch = patches_.size();
    matmul<T>(strip.count, own_, patch, factor, {patches, patch}, {a, patch, true}, sum.keep(), sum.data, outputs_);
  }
  // P w for `count` vectors w, (positions of the strip, count) of row stride `stride`.
  template <class T>
  void project(const T* vectors, Index count, Strip strip, const T* patches, T* out, Index stride) const {
    const Index patch = patches_.size();
    matmul<T>(strip.count, count, patch, T{1}, {patches, patch}, {vectors, patch, true}, T{0}, out, stride);
  }
  // sum += factor (P w) uᵀ + bias, in one visit of each row; without u, `left`, or `bias` that term is zero.
  template <class T>
  struct Column {
    const T* data = nullptr;
    Index stride = 0;
  };
  template <class T>
  void add_by_rows(const T* left, Column<T> along, T factor, const T* bias, Strip strip, Sum<T>& sum) const {
    const T keep = sum.keep();
    for (Index i = 0; i < strip.count; ++i) {
      T* row = sum.data + i * outputs_;
      const T scale = left ? factor * along.data[i * along.stride] : T{0};
      if (keep == T{0}) std::fill_n(row, own_, T{0});
      if (left && bias) {
        for (Index j = 0; j < own_; ++j) row[j] += scale * left[j] + bias[j];
      } else if (left) {
        axpy(scale, left, row, own_);
      } else if (bias) {
        axpy(T{1}, bias, row, own_);
      }
    }
  }

  // x̄ = the scattered P̄. Strips are cut from this visit's images alone, which no other thread writes.
  template <class T>
  void pull_input(const Pull<T>& visit, const Cotangent<T>& target) const {
    if constexpr (std::is_same_v<T, float>) {
      if (direct_.pulls_input()) return direct_.pull_input(visit, target);
    }
    if (!target.accumulate) std::fill_n(target.data, visit.out.rows * patches_.image(), T{0});
    each_strip(0, visit.out.rows, [&](Strip strip) {
      for (Index g = 0; g < groups_; ++g) {
        multiply_transposed(visit.in[1], g, strip.count, visit.cotangent + strip.first * outputs_ + g * own_,
                            visit.scratch);
        patches_.scatter(visit.scratch, strip, g, target.data);
      }
    });
  }

  // P̄ = ȳ W of group g.
  template <class T>
  void multiply_transposed(const Jet<T>& weight, Index g, Index count, const T* cotangent, T* patches) const {
    if constexpr (std::is_same_v<T, float>) {
      if (weight.packed) return weight.packed->multiply_transposed(count, cotangent, 0.0f, patches);
    }
    const Index patch = patches_.size();
    matmul<T>(count, patch, own_, T{1}, {cotangent, outputs_}, {weight.value + g * own_ * patch, patch}, T{0}, patches,
              patch);
  }

  // Sums ȳᵀ P over the images, part by part.
  template <class T>
  void pull_weight(const Pull<T>& visit, const Cotangent<T>& target) const {
    const Index rows = visit.out.rows;
    const Index patch = patches_.size();
    const Index parts = std::min(kParts, rows);
    parallel_for(parts, [&](Index part) {
      const Index first = rows * part / parts, last = rows * (part + 1) / parts;
      T* total = visit.scratch + part * of_part();
      T* patches = total + weights();
      if constexpr (std::is_same_v<T, float>) {
        if (direct_.pulls_weight(last - first)) return direct_.pull_weight(visit, first, last, total, patches);
      }
      std::fill_n(total, weights(), T{0});
      each_strip(first, last, [&](Strip strip) {
        for (Index g = 0; g < groups_; ++g) {
          patches_.gather(visit.in[0].value, strip, g, patches);
          matmul<T>(own_, patch, strip.count, T{1},
                    {visit.cotangent + strip.first * outputs_ + g * own_, outputs_, true}, {patches, patch}, T{1},
                    total + g * own_ * patch, patch);
        }
      });
    });
    if (!target.accumulate) std::fill_n(target.data, weights(), T{0});
    for (Index part = 0; part < parts; ++part) {
      add_to(target, visit.scratch + part * of_part());
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
  DirectConv direct_;
  Shape out_;
  Index outputs_, groups_;
  Index own_;        // outputs of a group
  Index strip_ = 0;  // positions of a strip
};

// x (spatial…, in) and a weight (out, kernel…, in / groups). Throws ShapeError.
void check_weight(const Shape& x, const Node& weight, Index groups) {
  const Shape& w = weight.shape();
  if (x.rank() < 2 || x.rank() > 4 || w.rank() != x.rank() + 1 || !weight.shared() || groups < 1 ||
      groups > std::max<Index>(x[-1], 1) || w[-1] * groups != x[-1] || w[0] % groups != 0) {
    throw ShapeError(
        fmt::format("conv: expected x (spatial…, in) of 1 to 3 spatial axes and a weight (out, kernel…, in / groups) "
                    "shared by all examples, in groups that divide in and out, found {}, {}{} and {} groups",
                    x.to_string(), w.to_string(), weight.shared() ? "" : ", one an example,", groups));
  }
}

}  // namespace

Node conv(const Node& x, const Node& weight, const std::optional<Node>& bias, const ConvOptions& options) {
  check_weight(x.shape(), weight, options.groups);
  const Shape& w = weight.shape();
  WindowAxes axes = window_axes("conv", x.shape(), {w.begin() + 1, w.end() - 1},
                                {options.strides, options.dilations, options.pads_begin, options.pads_end});
  count_windows("conv", x.shape(), axes);
  std::vector<Node> inputs{x, weight};
  if (bias) inputs.push_back(*bias);
  const bool depthwise = options.groups > 1 && options.groups == x.shape()[-1] && w[0] == options.groups;
  return Builder(x).apply(
      depthwise ? depthwise_conv(x.shape(), axes) : std::make_shared<Conv>(x.shape(), w, axes, options.groups),
      std::move(inputs));
}

Node conv2d(const Node& x, const Node& weight, const Node& bias, Conv2dOptions options) {
  const std::vector<Index> padding(2, options.padding);
  return conv(x, weight, bias,
              {.strides = {options.stride, options.stride}, .pads_begin = padding, .pads_end = padding});
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

std::vector<OpEntry> conv_examples() {
  std::vector<OpEntry> ops;
  ops.push_back(
      {"conv",
       {{"3 by 3", {5, 6, 2}, [](const Node& x) { return conv2d(x, 3, 3); }},
        {"stride 2, padding 1", {5, 5, 1}, [](const Node& x) { return conv2d(x, 2, 3, {.stride = 2, .padding = 1}); }},
        {"two layers", {6, 6, 1}, [](const Node& x) { return conv2d(tanh(conv2d(x, 18, 3)), 2, 2, {.padding = 2}); }},
        {"weights computed from weights",
         {4, 4, 1},
         [](const Node& x) {
           return conv2d(x, square(shared(x, "w", {2, 2, 2, 1}, 2)), square(shared(x, "b", {2}, 2)));
         }},
        {"one axis, dilated, padded on one side, no bias",
         {9, 2},
         [](const Node& x) {
           return conv(x, shared(x, "w", {3, 3, 2}, 3), {}, {.dilations = {2}, .pads_begin = {3}});
         }},
        {"three axes, a stride for each",
         {3, 4, 5, 2},
         [](const Node& x) {
           return conv(square(x), shared(x, "w", {2, 2, 3, 2, 2}, 2), shared(x, "b", {2}, 2),
                       {.strides = {1, 2, 3}, .pads_begin = {0, 1, 0}, .pads_end = {1, 0, 2}});
         }},
        {"two groups",
         {5, 4, 4},
         [](const Node& x) {
           return conv(square(x), shared(x, "w", {6, 3, 2, 2}, 6), shared(x, "b", {6}, 6),
                       {.dilations = {1, 2}, .pads_begin = {1, 1}, .pads_end = {1, 1}, .groups = 2});
         }},
        {"groups of one input and two outputs",
         {6, 3},
         [](const Node& x) {
           return conv(x, shared(x, "w", {6, 3, 1}, 6), {}, {.groups = 3});
         }},
        {"every channel by itself",
         {5, 5, 11},
         [](const Node& x) {
           return conv(
               square(x), shared(x, "w", {11, 3, 2, 1}, 11), shared(x, "b", {11}, 11),
               {.strides = {2, 1}, .dilations = {1, 2}, .pads_begin = {1, 2}, .pads_end = {0, 1}, .groups = 11});
         }},
        {"a window larger than x", {2, 1}, [](const Node& x) {
           return conv(x, shared(x, "w", {2, 5, 1}, 2), {}, {.pads_begin = {2}, .pads_end = {3}});
         }}}});
  return ops;
}

}  // namespace slopewise
