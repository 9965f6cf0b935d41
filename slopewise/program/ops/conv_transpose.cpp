// conv_transpose: y = the patches P = x W (positions, taps · out) added where a convolution of y would gather them,
// plus b, in each group of channels; bilinear in x and W.  With P̄ the patches of ȳ: x̄ = P̄ Wᵀ,  W̄ = xᵀ P̄,  b̄ = Σ ȳ.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/bilinear.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/patches.hpp"
#include "slopewise/tensor/matmul.hpp"

namespace slopewise {
namespace {

// Positions whose patches are in memory at once.
constexpr Index kStrip = 192;

class ConvTranspose final : public OpRules<ConvTranspose> {
 public:
  static constexpr std::string_view kName = "conv_transpose";
  // `axes` are those of windows over the output.
  ConvTranspose(const Shape& out, const WindowAxes& axes, Index inputs, Index groups)
      : patches_(axes, out[-1], groups), out_(out), inputs_(inputs), groups_(groups), own_(inputs / groups) {}

  Shape shape(std::span<const InputInfo> in) const override {
    check_bias(kName, in, out_[-1]);
    return out_;
  }
  OpCost cost(std::span<const InputInfo> in, const Shape&) const override {
    const double product = 2 * static_cast<double>(patches_.positions()) * static_cast<double>(inputs_) *
                           static_cast<double>(patches_.size());
    return {.value = product,
            .tangent = product * (in[0].active + in[1].active),
            .pullback = product * (in[0].active + in[1].active)};
  }
  bool curves(std::span<const InputInfo> in) const override { return bilinear_curves(in); }
  Index scratch(std::span<const InputInfo>, const Shape&, const VisitSize&) const override {
    return kStrip * patches_.size();
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& y = visit.out;
    const Index patch = patches_.size();
    push_bilinear(visit, [&](const T* x, const T* weight, T factor, bool accumulate, T* to) {
      if (!accumulate) std::fill_n(to, y.rows * y.size, T{0});
      each_strip(visit.in[0], y.rows, [&](Index row, Index x_row, Strip strip, Index g) {
        matmul<T>(strip.count, patch, own_, factor, {x + x_row + strip.first * inputs_ + g * own_, inputs_},
                  {weight + g * own_ * patch, patch}, T{0}, visit.scratch, patch);
        patches_.scatter(visit.scratch, strip, g, to + row);
      });
    });
    if (visit.in.size() > 2) push_bias(visit, visit.in[2]);
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& weight = visit.in[1];
    const Index patch = patches_.size();
    const Cotangent<T>& to_x = visit.in_cotangents[0];
    const Cotangent<T>& to_weight = visit.in_cotangents[1];
    if (to_x && !to_x.accumulate) std::fill_n(to_x.data, x.rows * x.size, T{0});
    if (to_weight && !to_weight.accumulate) std::fill_n(to_weight.data, weight.size, T{0});
    each_strip(x, visit.out.rows, [&](Index row, Index x_row, Strip strip, Index g) {
      const Index at = x_row + strip.first * inputs_ + g * own_, matrix = g * own_ * patch;
      patches_.gather(visit.cotangent + row, strip, g, visit.scratch);
      if (to_x) {
        matmul<T>(strip.count, own_, patch, T{1}, {visit.scratch, patch}, {weight.value + matrix, patch, true}, T{1},
                  to_x.data + at, inputs_);
      }
      if (to_weight) {
        matmul<T>(own_, patch, strip.count, T{1}, {x.value + at, inputs_, true}, {visit.scratch, patch}, T{1},
                  to_weight.data + matrix, patch);
      }
    });
    if (visit.in.size() > 2) pull_bias(visit, 2);
  }

 private:
  // Calls visit(where the row of y starts, where that of x does, strip, group) for the strips of each row.
  template <class T, class F>
  void each_strip(const Jet<T>& x, Index rows, F visit) const {
    const Index positions = patches_.positions();
    for (Index r = 0; r < rows; ++r) {
      for (Index first = 0; first < positions; first += kStrip) {
        for (Index g = 0; g < groups_; ++g) {
          visit(r * out_.size(), x.row(r), Strip{first, std::min(kStrip, positions - first)}, g);
        }
      }
    }
  }

  Patches patches_;
  Shape out_;
  Index inputs_, groups_;
  Index own_;  // inputs of a group
};

}  // namespace

Node conv_transpose(const Node& x, const Node& weight, const std::optional<Node>& bias,
                    const ConvTransposeOptions& options) {
  const Shape& w = weight.shape();
  if (x.shape().rank() < 2 || x.shape().rank() > 4 || w.rank() != x.shape().rank() + 1 || !weight.shared() ||
      w[0] != x.shape()[-1] || options.groups < 1 || options.groups > std::max<Index>(w[0], 1) ||
      w[0] % options.groups != 0) {
    throw ShapeError(
        fmt::format("conv_transpose: expected x (spatial…, in) of 1 to 3 spatial axes and a weight (in, "
                    "kernel…, out / groups) shared by all examples, in groups that divide in, found {}, "
                    "{}{} and {} groups",
                    x.shape().to_string(), w.to_string(), weight.shared() ? "" : ", one an example,", options.groups));
  }
  WindowAxes axes = window_axes("conv_transpose", x.shape(), {w.begin() + 1, w.end() - 1},
                                {options.strides, options.dilations, options.pads_begin, options.pads_end});
  const Index spatial = x.shape().rank() - 1;
  std::vector<Index> extents;
  for (Index i = 0; i < spatial; ++i) {
    WindowAxis& axis = axes[3 - spatial + i];
    Index added = 0;
    if (!options.output_padding.empty()) {
      if (static_cast<Index>(options.output_padding.size()) != spatial) {
        throw ShapeError(fmt::format("conv_transpose: expected an output padding for each of {} spatial axes, found {}",
                                     spatial, options.output_padding.size()));
      }
      added = options.output_padding[i];
      if (added < 0 || added >= std::max(axis.stride, axis.dilation)) {
        throw ShapeError(
            fmt::format("conv_transpose: expected output padding from 0 to below the stride {} or the "
                        "dilation {}, found {}",
                        axis.stride, axis.dilation, added));
      }
    }
    axis.out = axis.extent;
    axis.extent = (axis.out - 1) * axis.stride - axis.before - axis.after + axis.span() + added;
    if (axis.out < 1 || axis.extent < 1) {
      throw ShapeError(fmt::format("conv_transpose: padding {} and {} leaves nothing of x {}", axis.before, axis.after,
                                   x.shape().to_string()));
    }
    extents.push_back(axis.extent);
  }
  extents.push_back(w[-1] * options.groups);
  std::vector<Node> inputs{x, weight};
  if (bias) inputs.push_back(*bias);
  return Builder(x).apply(std::make_shared<ConvTranspose>(Shape(extents), axes, w[0], options.groups),
                          std::move(inputs));
}

std::vector<OpEntry> conv_transpose_examples() {
  std::vector<OpEntry> ops;
  ops.push_back({"conv_transpose",
                 {{"one axis",
                   {4, 2},
                   [](const Node& x) {
                     return conv_transpose(x, shared(x, "w", {2, 3, 3}, 2));
                   }},
                  {"two axes, padded, with bias",
                   {3, 3, 2},
                   [](const Node& x) {
                     return conv_transpose(
                         square(x), shared(x, "w", {2, 3, 2, 2}, 2), shared(x, "b", {2}, 2),
                         {.strides = {2, 3}, .pads_begin = {1, 0}, .pads_end = {0, 1}, .output_padding = {1, 2}});
                   }},
                  {"groups, dilated",
                   {3, 4, 4},
                   [](const Node& x) {
                     return conv_transpose(square(x), shared(x, "w", {4, 2, 2, 3}, 4), shared(x, "b", {6}, 6),
                                           {.dilations = {2, 1}, .groups = 2});
                   }},
                  {"three axes, weights computed from weights", {2, 2, 2, 1}, [](const Node& x) {
                     return conv_transpose(x, square(shared(x, "w", {1, 2, 1, 2, 2}, 1)), {}, {.strides = {1, 2, 2}});
                   }}}});
  return ops;
}

}  // namespace slopewise
