// What conv (conv.hpp) is where every channel is convolved by itself.
#pragma once

#include <memory>

#include "slopewise/program/op.hpp"
#include "slopewise/program/ops/windows.hpp"

namespace slopewise {

// For x (spatial…, channels) and a weight (channels, kernel…, 1).
std::shared_ptr<const Op> depthwise_conv(const Shape& x, const WindowAxes& axes);

}  // namespace slopewise
