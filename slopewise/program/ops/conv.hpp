// Convolutions (ops/conv.cpp, ops/conv_transpose.cpp); the channels are the last axis.
#pragma once

#include <optional>
#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

// A number for each spatial axis, or none: strides and dilations are then 1, paddings 0.
struct ConvOptions {
  std::vector<Index> strides, dilations;
  std::vector<Index> pads_begin, pads_end;  // zeros added before and after
  Index groups = 1;                         // input and output channels fall into so many, each convolved by itself
};
// Cross-correlation, as in PyTorch, on x (spatial…, in) of one to three spatial axes with weight (out, kernel…,
// in / groups), shared by all examples, and, if any, bias (out): -> (spatial'…, out), along each axis
// size' = (size + pad_begin + pad_end − dilation (kernel − 1) − 1) / stride + 1, rounded down.
Node conv(const Node& x, const Node& weight, const std::optional<Node>& bias = {}, const ConvOptions& options = {});

struct Conv2dOptions {
  Index stride = 1;
  Index padding = 0;  // zeros added on every side
};
// The same on x (height, width, in) with weight (out, kernel, kernel, in) and bias (out).
Node conv2d(const Node& x, const Node& weight, const Node& bias, Conv2dOptions options = {});
// The same with new parameters "conv2dN.weight" (`gain` times He 2015) and "conv2dN.bias".
Node conv2d(const Node& x, Index outputs, Index kernel, Conv2dOptions options = {}, double gain = 1);

// As ConvOptions; and how many entries are added at the end of each axis, none: 0.
struct ConvTransposeOptions {
  std::vector<Index> strides, dilations;
  std::vector<Index> pads_begin, pads_end;
  std::vector<Index> output_padding;
  Index groups = 1;
};
// The transpose of a convolution in x (Dumoulin and Visin 2016, arXiv 1603.07285, section 4): x (spatial…, in), weight
// (in, kernel…, out / groups), the one of the convolution that it transposes, and, if any, bias (out): -> (spatial'…,
// out), along each axis size' = (size − 1) stride − pad_begin − pad_end + dilation (kernel − 1) + 1 + output_padding.
Node conv_transpose(const Node& x, const Node& weight, const std::optional<Node>& bias = {},
                    const ConvTransposeOptions& options = {});

}  // namespace slopewise
