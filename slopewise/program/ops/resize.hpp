// Images made larger or smaller (ops/resize.cpp); the channels are the last axis.
#pragma once

#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

struct ResizeOptions {
  enum class Mode { kNearest, kLinear, kCubic };
  // Where entry o of `to` lies among `from` entries, with scale = to / from unless it is given.
  enum class Coordinates {
    kHalfPixel,         // (o + ½) / scale − ½
    kPytorchHalfPixel,  // the same; 0 where there is one entry
    kAlignCorners,      // o (from − 1) / (to − 1)
    kAsymmetric,        // o / scale
  };
  enum class Rounding { kPreferFloor, kPreferCeil, kFloor, kCeil };  // of nearest; the first two differ at halves
  Mode mode = Mode::kNearest;
  Coordinates coordinates = Coordinates::kHalfPixel;
  Rounding rounding = Rounding::kPreferFloor;
  std::vector<double> scales;  // one a spatial axis; none: to / from
  // Of cubic: a of the kernel (Keys 1981, "Cubic convolution interpolation for digital image processing"), and whether
  // entries beyond the first or last are left out, so that the weights of the others make 1, or those taken.
  double cubic = -0.75;
  bool exclude_outside = false;
};
// x (spatial…, channels) of one to three spatial axes -> (sizes…, channels), as ONNX's Resize: nearest neighbours, or
// linear or cubic along each axis. Places beyond the first or last entry take that entry.
Node resize(const Node& x, const std::vector<Index>& sizes, const ResizeOptions& options = {});

// x (height, width, channels) -> (height · block, width · block, channels / block²). A place's channels are block rows
// of block columns of the new channels, or, where `depth_first`, the new channels with a block each.
Node depth_to_space(const Node& x, Index block, bool depth_first = false);
// Its inverse, of the first kind.
Node space_to_depth(const Node& x, Index block);

}  // namespace slopewise
