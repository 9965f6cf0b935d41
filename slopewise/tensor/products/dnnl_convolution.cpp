#include "slopewise/tensor/products/dnnl_convolution.hpp"

#include <algorithm>
#include <compare>
#include <optional>
#include <string_view>
#include <utility>

#include "slopewise/tensor/products/dnnl_primitive.hpp"

namespace slopewise {
namespace {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

// oneDNN counts in ints.
bool countable(const Convolution& of, Index images) {
  constexpr double kMost = 0x1p30;
  const auto channels = static_cast<double>(of.channels), outputs = static_cast<double>(of.outputs);
  double entries[] = {static_cast<double>(images) * channels, static_cast<double>(images) * outputs,
                      channels * outputs};  // of x, y and W
  for (const WindowAxis& axis : of.axes) {
    if (std::max({axis.extent + axis.before + axis.after, axis.span(), axis.stride}) > Index{1} << 30) return false;
    entries[0] *= static_cast<double>(axis.extent);
    entries[1] *= static_cast<double>(axis.out);
    entries[2] *= static_cast<double>(axis.kernel);
  }
  return std::ranges::all_of(entries, [](double count) { return count < kMost; });
}

// Whether an error says that there is no such primitive, and not that something went wrong.
bool is_refusal(const dnnl::error& error) {
  return error.status == dnnl_unimplemented || error.status == dnnl_invalid_arguments;
}

struct Request {
  Convolution of;
  bool accumulate = false;

  auto operator<=>(const Request&) const = default;
};

struct Made {
  Index block;
  ReadyPrimitive primitive;
};

// The rows that lie together where the weights that oneDNN chose are filters; else 0.
Index block_of(const dnnl_memory_desc_t& has, const Convolution& of) {
  const dnnl_blocking_desc_t& blocks = has.format_desc.blocking;
  if (has.format_kind != dnnl_blocked || blocks.inner_nblks != 1 || blocks.inner_idxs[0] != 0) return 0;
  const Index block = blocks.inner_blks[0];
  if (block % 16 != 0 || block > 64) return 0;
  // Outermost to innermost: blocks of rows, taps by depth, height and width, channels, the rows of a block.
  Index stride = block;
  for (const auto& [axis, extent] : {std::pair{1, of.channels}, std::pair{4, of.axes[2].kernel},
                                     std::pair{3, of.axes[1].kernel}, std::pair{2, of.axes[0].kernel}}) {
    if (has.padded_dims[axis] != extent || blocks.strides[axis] != stride) return 0;
    stride *= extent;
  }
  return blocks.strides[0] == stride ? block : 0;
}

// The operands of a convolution of `images`, as oneDNN names them.
struct Described {
  Described(const Convolution& of, Index images)
      : x(of_axes(images, of.channels, of, [](const WindowAxis& axis) { return axis.extent; }), Type::f32, Tag::ndhwc),
        weights(of_axes(of.outputs, of.channels, of, [](const WindowAxis& axis) { return axis.kernel; }), Type::f32,
                Tag::any),
        y(of_axes(images, of.outputs, of, [](const WindowAxis& axis) { return axis.out; }), Type::f32, Tag::ndhwc),
        strides(each_axis(of, [](const WindowAxis& axis) { return axis.stride; })),
        dilations(each_axis(of, [](const WindowAxis& axis) { return axis.dilation - 1; })),
        before(each_axis(of, [](const WindowAxis& axis) { return axis.before; })),
        // What windows read beyond the image; less than the padding where they do not reach its end.
        after(each_axis(of, [](const WindowAxis& axis) {
          return std::max<Index>(0, (axis.out - 1) * axis.stride + axis.span() - axis.before - axis.extent);
        })) {}

  dnnl::convolution_forward::desc forward() const {
    return {dnnl::prop_kind::forward_training,
            dnnl::algorithm::convolution_direct,
            x,
            weights,
            y,
            strides,
            dilations,
            before,
            after};
  }

  Desc x, weights, y;
  dnnl::memory::dims strides, dilations, before, after;

 private:
  template <class F>
  static dnnl::memory::dims each_axis(const Convolution& of, F value) {
    return {value(of.axes[0]), value(of.axes[1]), value(of.axes[2])};
  }
  template <class F>
  static dnnl::memory::dims of_axes(Index first, Index second, const Convolution& of, F value) {
    return {first, second, value(of.axes[0]), value(of.axes[1]), value(of.axes[2])};
  }
};

dnnl::primitive_attr attributes_of(bool accumulate) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  return attributes;
}

std::optional<Made> make_forward(const Request& request) {
  if (!countable(request.of, 1)) return std::nullopt;
  const OneThread one_thread;
  try {
    const dnnl::convolution_forward::primitive_desc desc(Described(request.of, 1).forward(),
                                                         attributes_of(request.accumulate), dnnl_engine());
    const Index block = block_of(desc.weights_desc().data, request.of);
    if (block == 0 || !std::string_view(desc.impl_info_str()).starts_with("brgconv")) return std::nullopt;
    return Made{block, ReadyPrimitive(dnnl::convolution_forward(desc),
                                      {{DNNL_ARG_SRC, desc.src_desc()},
                                       {DNNL_ARG_WEIGHTS, desc.weights_desc()},
                                       {DNNL_ARG_DST, desc.dst_desc()}},
                                      desc.scratchpad_desc())};
  } catch (const dnnl::error& error) {
    if (!is_refusal(error)) throw;
    return std::nullopt;
  }
}

std::optional<Made>& ready(const Request& request) {
  thread_local ReadyPrimitives<Request, std::optional<Made>> convolutions;
  return convolutions.get(request, make_forward);
}

// The gradient of filters in oneDNN's layout, and how it is put in rows.
struct BackRequest {
  Convolution of;
  Index images = 1;

  auto operator<=>(const BackRequest&) const = default;
};
struct MadeBack {
  Index entries;  // of the gradient in oneDNN's layout
  ReadyPrimitive gradient, rows;
};

std::optional<MadeBack> make_back(const BackRequest& request) {
  if (!countable(request.of, request.images)) return std::nullopt;
  const OneThread one_thread;
  const dnnl::primitive_attr attributes = attributes_of(false);
  try {
    const Described described(request.of, request.images);
    const dnnl::convolution_forward::primitive_desc forward(described.forward(), attributes, dnnl_engine());
    const dnnl::convolution_backward_weights::primitive_desc desc(
        {dnnl::algorithm::convolution_direct, described.x, described.weights, described.y, described.strides,
         described.dilations, described.before, described.after},
        attributes, dnnl_engine(), forward);
    if (!std::string_view(desc.impl_info_str()).starts_with("jit")) return std::nullopt;
    const Desc found = desc.diff_weights_desc();
    const Desc rows(found.dims(), Type::f32, Tag::odhwi);
    const dnnl::reorder::primitive_desc reorder(dnnl_engine(), found, dnnl_engine(), rows, attributes);
    return MadeBack{static_cast<Index>(found.get_size() / sizeof(float)),
                    ReadyPrimitive(dnnl::convolution_backward_weights(desc),
                                   {{DNNL_ARG_SRC, desc.src_desc()},
                                    {DNNL_ARG_DIFF_DST, desc.diff_dst_desc()},
                                    {DNNL_ARG_DIFF_WEIGHTS, found}},
                                   desc.scratchpad_desc()),
                    ReadyPrimitive(dnnl::reorder(reorder), {{DNNL_ARG_FROM, found}, {DNNL_ARG_TO, rows}},
                                   reorder.scratchpad_desc())};
  } catch (const dnnl::error& error) {
    if (!is_refusal(error)) throw;
    return std::nullopt;
  }
}

std::optional<MadeBack>& ready_back(const BackRequest& request) {
  thread_local ReadyPrimitives<BackRequest, std::optional<MadeBack>> gradients;
  return gradients.get(request, make_back);
}

}  // namespace

Index dnnl_filter_block(const Convolution& of) {
  const std::optional<Made>& plain = ready({of, false});
  const std::optional<Made>& added = ready({of, true});
  return plain && added && plain->block == added->block ? plain->block : 0;
}

void dnnl_convolve(const Convolution& of, const float* filters, const float* x, bool accumulate, float* y) {
  ready({of, accumulate}).value().primitive.run({x, filters, y});
}

Index dnnl_filter_gradient_scratch(const Convolution& of, Index images) {
  const std::optional<MadeBack>& made = ready_back({of, images});
  return made ? made->entries : 0;
}

void dnnl_filter_gradient(const Convolution& of, Index images, const float* x, const float* cotangent, float* gradient,
                          float* scratch) {
  MadeBack& made = ready_back({of, images}).value();
  made.gradient.run({x, cotangent, scratch});
  made.rows.run({scratch, gradient});
}

}  // namespace slopewise
