// Pooling; the channels are the last axis.
#pragma once

#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

// A number for each spatial axis, or none: strides and dilations are then 1, paddings 0.
struct PoolOptions {
  std::vector<Index> strides, dilations;
  std::vector<Index> pads_begin, pads_end;
  // Whether a last window may reach beyond the padding, if it starts before the padding at the end, as in PyTorch.
  bool ceil_mode = false;
  // average_pool: whether the zeros of the padding count, not so what lies beyond it.
  bool count_include_pad = false;
};

// The largest entry, or the mean, of each window of `kernel` taps on x (spatial…, channels) of one to three spatial
// axes:
// -> (spatial'…, channels), along each axis size' = (size + pad_begin + pad_end − dilation (kernel − 1) − 1) / stride +
// 1, rounded down, or up in ceil_mode. Tangents of a maximum are those of the first of the largest. A window that lies
// in the padding throws ShapeError.
Node max_pool(const Node& x, const std::vector<Index>& kernel, const PoolOptions& options = {});
Node average_pool(const Node& x, const std::vector<Index>& kernel, const PoolOptions& options = {});
// The same for square windows of x (height, width, channels); stride 0 means the window's size.
Node max_pool2d(const Node& x, Index window, Index stride = 0);
Node average_pool2d(const Node& x, Index window, Index stride = 0);

}  // namespace slopewise
