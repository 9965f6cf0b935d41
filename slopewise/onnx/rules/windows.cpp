// Convolutions, pooling and what else acts on images. ONNX has the channels before the spatial axes, the program after
// them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

// Spatial axes, then channels.
std::vector<Index> channels_last(std::size_t rank) {
  std::vector<Index> axes;
  for (std::size_t axis = 2; axis < rank; ++axis) axes.push_back(static_cast<Index>(axis));
  axes.push_back(1);
  return axes;
}

// Input 0 as images: (examples, channels, spatial…).
struct Images {
  Placed value;
  Node node;  // (spatial…, channels)
  std::vector<Index> sizes;
};
Images images(ImportStep& step) {
  const Placed x = step.placed(0);
  if (x.dims.size() < 3)
    step.refuse(fmt::format("expected (batch, channels, spatial axes), found {}", to_string(x.dims)));
  if (x.dims[0].count != 1)
    step.refuse(fmt::format("the first axis of {} is more than the examples", to_string(x.dims)));
  for (std::size_t axis = 1; axis < x.dims.size(); ++axis) step.require_one_example(x.dims, static_cast<Index>(axis));
  Images result{x, arrange(x, channels_last(x.dims.size())), {}};
  for (std::size_t axis = 2; axis < x.dims.size(); ++axis) result.sizes.push_back(x.dims[axis].count);
  return result;
}

// The result with these spatial axes and channels, as ONNX numbers them.
Placed as_images(const Images& from, const Node& node) {
  Extents dims{from.value.dims[0], {node.shape()[-1]}};
  for (Index axis = 0; axis + 1 < node.shape().rank(); ++axis) dims.push_back({node.shape()[axis]});
  return {node, dims, channels_last(dims.size())};
}

// Strides, dilations and paddings along the spatial axes.
struct Window {
  std::vector<Index> kernel, strides, dilations, begins, ends;
};

std::vector<Index> one_an_axis(const ImportStep& step, const std::string& name, std::size_t axes, Index otherwise) {
  std::vector<Index> values = step.integers(name).value_or(std::vector<Index>(axes, otherwise));
  if (values.size() != axes) step.refuse(fmt::format("{}: expected {} numbers, found {}", name, axes, values.size()));
  for (const Index value : values) {
    if (value < otherwise) step.refuse(fmt::format("{}: expected at least {}, found {}", name, otherwise, value));
  }
  return values;
}

Window window(const ImportStep& step, const std::vector<Index>& sizes, std::vector<Index> kernel) {
  const std::size_t axes = sizes.size();
  Window own{std::move(kernel), one_an_axis(step, "strides", axes, 1), one_an_axis(step, "dilations", axes, 1),
             std::vector<Index>(axes, 0), std::vector<Index>(axes, 0)};
  const std::string automatic = step.text("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    for (std::size_t axis = 0; axis < axes; ++axis) {
      const Index count = (sizes[axis] + own.strides[axis] - 1) / own.strides[axis];
      const Index reach = own.dilations[axis] * (own.kernel[axis] - 1) + 1;
      const Index all = std::max<Index>((count - 1) * own.strides[axis] + reach - sizes[axis], 0);
      own.begins[axis] = automatic == "SAME_UPPER" ? all / 2 : all - all / 2;
      own.ends[axis] = all - own.begins[axis];
    }
  } else if (automatic == "NOTSET") {
    const std::vector<Index> pads = step.integers("pads").value_or(std::vector<Index>(2 * axes, 0));
    if (pads.size() != 2 * axes) step.refuse(fmt::format("pads: expected {} numbers, found {}", 2 * axes, pads.size()));
    own.begins.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
    own.ends.assign(pads.begin() + static_cast<std::ptrdiff_t>(axes), pads.end());
  } else if (automatic != "VALID") {
    step.refuse(fmt::format("auto_pad '{}': expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", automatic));
  }
  return own;
}

std::vector<Index> spatial(const Extents& weight) {
  std::vector<Index> extents;
  for (std::size_t axis = 2; axis < weight.size(); ++axis) extents.push_back(weight[axis].count);
  return extents;
}

// The bias of `units` entries, input 2; none where it is left out.
std::optional<Node> bias(ImportStep& step, const Node& weight) {
  if (!step.has(2)) return std::nullopt;
  Weight* own = step.unread_weight(2);
  return arrange(own ? step.importer().bias(*own, weight) : step.placed(2));
}

// Input 1: (out, in / groups, kernel…), of a transposed convolution (in, out / groups, kernel…), with its second axis
// last.
Node kernels(ImportStep& step, const Images& x) {
  const Extents weight = step.dims(1);
  if (weight.size() != x.value.dims.size())
    step.refuse(fmt::format("weights {} for images {}", to_string(weight), to_string(x.value.dims)));
  std::vector<Index> order{0};
  const std::vector<Index> rest = channels_last(weight.size());
  order.insert(order.end(), rest.begin(), rest.end());
  const Placed w = step.weight(1, order, Role::kMatrix);
  if (!w.shared()) step.refuse("weights that depend on what goes into the model");
  return arrange(w, order);
}

void conv_rule(ImportStep& step) {
  const Images x = images(step);
  const Node node = kernels(step, x);
  const Window own = window(step, x.sizes, spatial(step.dims(1)));
  step.give(as_images(x, conv(x.node, node, bias(step, node),
                              {.strides = own.strides,
                               .dilations = own.dilations,
                               .pads_begin = own.begins,
                               .pads_end = own.ends,
                               .groups = step.integer("group", 1)})));
}

void conv_transpose_rule(ImportStep& step) {
  const Images x = images(step);
  const Node node = kernels(step, x);
  Window own = window(step, x.sizes, spatial(step.dims(1)));
  std::vector<Index> more = one_an_axis(step, "output_padding", x.sizes.size(), 0);
  const std::string automatic = step.text("auto_pad", "NOTSET");
  const auto wanted = step.integers("output_shape");
  if (wanted || automatic.starts_with("SAME")) {
    if (wanted && wanted->size() < x.sizes.size()) step.refuse("output_shape: expected one number an axis");
    for (std::size_t axis = 0; axis < x.sizes.size(); ++axis) {
      const Index size = wanted ? (*wanted)[wanted->size() - x.sizes.size() + axis] : x.sizes[axis] * own.strides[axis];
      const Index all = own.strides[axis] * (x.sizes[axis] - 1) + more[axis] +
                        (own.kernel[axis] - 1) * own.dilations[axis] + 1 - size;
      // More than there is comes as output padding.
      if (all < 0) {
        more[axis] -= all;
        own.begins[axis] = own.ends[axis] = 0;
        continue;
      }
      own.begins[axis] = automatic == "SAME_UPPER" ? all / 2 : all - all / 2;
      own.ends[axis] = all - own.begins[axis];
    }
  }
  std::optional<Node> vector;
  if (step.has(2)) vector = arrange(step.weight(2, {0}, Role::kBias));
  step.give(as_images(x, conv_transpose(x.node, node, vector,
                                        {.strides = own.strides,
                                         .dilations = own.dilations,
                                         .pads_begin = own.begins,
                                         .pads_end = own.ends,
                                         .output_padding = more,
                                         .groups = step.integer("group", 1)})));
}

template <class F>
void pool(ImportStep& step, F function) {
  if (step.wants(1)) step.refuse("the places of the maxima are not taken as an output");
  const Images x = images(step);
  const auto kernel = step.integers("kernel_shape");
  if (!kernel || kernel->size() != x.sizes.size() || *std::min_element(kernel->begin(), kernel->end()) < 1)
    step.refuse(fmt::format("kernel_shape: expected {} extents", x.sizes.size()));
  const Window own = window(step, x.sizes, *kernel);
  step.give(as_images(x, function(x.node, *kernel,
                                  PoolOptions{.strides = own.strides,
                                              .dilations = own.dilations,
                                              .pads_begin = own.begins,
                                              .pads_end = own.ends,
                                              .ceil_mode = step.integer("ceil_mode", 0) != 0,
                                              .count_include_pad = step.integer("count_include_pad", 0) != 0})));
}
void max_pool_rule(ImportStep& step) {
  pool(step,
       [](const Node& x, const auto& kernel, const PoolOptions& options) { return max_pool(x, kernel, options); });
}
void average_pool_rule(ImportStep& step) {
  pool(step,
       [](const Node& x, const auto& kernel, const PoolOptions& options) { return average_pool(x, kernel, options); });
}
// (Σ |x|^p)^(1/p) of each window, by the mean over it.
void lp_pool_rule(ImportStep& step) {
  const Index p = step.integer("p", 2);
  if (p != 1 && p != 2) step.refuse(fmt::format("p = {}: expected 1 or 2", p));
  if (step.integer("ceil_mode", 0) != 0) step.refuse("ceil_mode is not supported");
  pool(step, [p](const Node& x, const auto& kernel, PoolOptions options) {
    options.count_include_pad = true;
    const double taps = std::accumulate(kernel.begin(), kernel.end(), 1.0, std::multiplies<>());
    const Node sums = scale(average_pool(p == 1 ? abs(x) : square(x), kernel, options), taps);
    return p == 1 ? sums : sqrt(sums);
  });
}

void global_average_rule(ImportStep& step) {
  const Images x = images(step);
  std::vector<Index> axes(x.sizes.size()), extents(x.sizes.size(), 1);
  std::iota(axes.begin(), axes.end(), 0);
  extents.push_back(x.node.shape()[-1]);
  step.give(as_images(x, reshape(mean(x.node, axes), Shape(extents))));
}

void global_max_rule(ImportStep& step) {
  const Images x = images(step);
  std::vector<Index> axes(x.sizes.size()), extents(x.sizes.size(), 1);
  std::iota(axes.begin(), axes.end(), 0);
  extents.push_back(x.node.shape()[-1]);
  step.give(as_images(x, reshape(reduce_max(x.node, axes), Shape(extents))));
}

void depth_to_space_rule(ImportStep& step) {
  const Images x = images(step);
  const std::string mode = step.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") step.refuse(fmt::format("mode '{}': expected DCR or CRD", mode));
  step.give(as_images(x, depth_to_space(x.node, step.integer("blocksize", 0), mode == "CRD")));
}

void space_to_depth_rule(ImportStep& step) {
  const Images x = images(step);
  step.give(as_images(x, space_to_depth(x.node, step.integer("blocksize", 0))));
}

void lrn_rule(ImportStep& step) {
  const Images x = images(step);
  step.give(as_images(x, local_response_norm(x.node, step.integer("size", 1), step.number("alpha", 1e-4F),
                                             step.number("beta", 0.75), step.number("bias", 1.0))));
}

// Images of other sizes: scales or sizes of all axes, of which the first two stay.
void resize_rule(ImportStep& step) {
  const Images x = images(step);
  const std::size_t rank = x.value.dims.size();
  const bool upsample = step.node().op == "Upsample";
  const std::size_t scales_at = upsample || step.opset() < 11 ? 1 : 2;
  ResizeOptions options;
  const std::string mode = step.text("mode", "nearest"),
                    coordinates = step.text("coordinate_transformation_mode",
                                            upsample || step.opset() < 11 ? "asymmetric" : "half_pixel"),
                    rounding =
                        step.text("nearest_mode", upsample || step.opset() < 11 ? "floor" : "round_prefer_floor");
  using Mode = ResizeOptions::Mode;
  using Coordinates = ResizeOptions::Coordinates;
  using Rounding = ResizeOptions::Rounding;
  const std::map<std::string, Mode> modes{
      {"nearest", Mode::kNearest}, {"linear", Mode::kLinear}, {"bilinear", Mode::kLinear}, {"cubic", Mode::kCubic}};
  const std::map<std::string, Coordinates> places{{"half_pixel", Coordinates::kHalfPixel},
                                                  {"pytorch_half_pixel", Coordinates::kPytorchHalfPixel},
                                                  {"align_corners", Coordinates::kAlignCorners},
                                                  {"asymmetric", Coordinates::kAsymmetric}};
  const std::map<std::string, Rounding> roundings{{"round_prefer_floor", Rounding::kPreferFloor},
                                                  {"round_prefer_ceil", Rounding::kPreferCeil},
                                                  {"floor", Rounding::kFloor},
                                                  {"ceil", Rounding::kCeil}};
  if (!modes.contains(mode)) step.refuse(fmt::format("mode '{}': expected nearest, linear or cubic", mode));
  if (!places.contains(coordinates))
    step.refuse(fmt::format("coordinate_transformation_mode '{}' is not supported", coordinates));
  if (!roundings.contains(rounding)) step.refuse(fmt::format("nearest_mode '{}' is not supported", rounding));
  if (step.integer("antialias", 0) != 0) step.refuse("antialiasing is not supported");
  if (step.text("keep_aspect_ratio_policy", "stretch") != "stretch")
    step.refuse("keep_aspect_ratio_policy: expected stretch");
  // Since operator set 18 scales and sizes may be those of some of the axes.
  std::vector<Index> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (const auto named = step.integers("axes")) {
    axes = *named;
    for (Index& axis : axes) {
      axis = axis_of(axis, rank);
      if (axis < 0) step.refuse(fmt::format("axes ({}) of {}", fmt::join(*named, ", "), to_string(x.value.dims)));
    }
  }
  const auto of_all = [&](const std::vector<double>& given, std::vector<double> all) {
    if (given.size() != axes.size())
      step.refuse(fmt::format("expected a number for each of {} axes, found {}", axes.size(), given.size()));
    for (std::size_t i = 0; i < axes.size(); ++i) all[number_of(axes[i])] = given[i];
    return all;
  };
  options.mode = modes.at(mode);
  options.coordinates = places.at(coordinates);
  options.rounding = roundings.at(rounding);
  options.cubic = step.number("cubic_coeff_a", -0.75);
  options.exclude_outside = step.integer("exclude_outside", 0) != 0;
  std::vector<Index> sizes;
  std::vector<double> factors;
  if (step.has(scales_at)) {
    factors = step.known(scales_at, "scales").numbers;
  } else if (const auto own = step.node().attributes.find("scales"); upsample && own != step.node().attributes.end()) {
    // Before operator set 9 they are an attribute.
    if (const auto* numbers = std::get_if<std::vector<float>>(&own->second))
      factors.assign(numbers->begin(), numbers->end());
  }
  if (!factors.empty()) {
    factors = of_all(factors, std::vector<double>(rank, 1.0));
    if (factors[0] != 1 || factors[1] != 1) step.refuse("expected scales of 1 for the first two axes");
    for (std::size_t axis = 2; axis < rank; ++axis) {
      sizes.push_back(static_cast<Index>(
          std::clamp(std::floor(static_cast<double>(x.sizes[axis - 2]) * factors[axis]), -1.0, 0x1p40)));
      options.scales.push_back(factors[axis]);
    }
  } else if (!upsample && step.has(3)) {
    std::vector<double> now(rank);
    for (std::size_t axis = 1; axis < rank; ++axis)
      now[axis] = static_cast<double>(axis == 1 ? x.value.dims[1].count : x.sizes[axis - 2]);
    const std::vector<double> given = of_all(step.known(3, "sizes").numbers, now);
    if (given[1] != now[1])
      step.refuse(fmt::format("expected as many channels as before, {}, found {}", now[1], given[1]));
    for (std::size_t axis = 2; axis < rank; ++axis) sizes.push_back(static_cast<Index>(given[axis]));
  } else {
    step.refuse("expected scales or sizes");
  }
  for (const Index size : sizes) {
    if (size < 1 || size > (Index{1} << 20)) step.refuse(fmt::format("an image of {} pixels along an axis", size));
  }
  step.give(as_images(x, resize(x.node, sizes, options)));
}

constexpr OnnxRule kWindows[] = {{"AveragePool", average_pool_rule},
                                 {"Conv", conv_rule, "weights that all examples share"},
                                 {"ConvTranspose", conv_transpose_rule, "weights that all examples share"},
                                 {"DepthToSpace", depth_to_space_rule},
                                 {"GlobalAveragePool", global_average_rule},
                                 {"GlobalMaxPool", global_max_rule},
                                 {"LRN", lrn_rule},
                                 {"LpPool", lp_pool_rule, "p = 1 or 2"},
                                 {"MaxPool", max_pool_rule, "without the places of the maxima"},
                                 {"Resize", resize_rule, "nearest, linear and cubic, of the spatial axes"},
                                 {"SpaceToDepth", space_to_depth_rule},
                                 {"Upsample", resize_rule, "nearest and linear, of the spatial axes"}};

}  // namespace

std::span<const OnnxRule> window_rules() {
  return kWindows;
}

}  // namespace slopewise
