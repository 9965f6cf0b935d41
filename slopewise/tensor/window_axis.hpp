// Where windows lie on one to three spatial axes.
#pragma once

#include <algorithm>
#include <array>
#include <compare>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// Windows along one axis: tap t of window o covers entry o · stride + t · dilation − before, in the padding where that
// is outside [0, extent).
struct WindowAxis {
  Index extent = 1;
  Index kernel = 1;  // taps
  Index stride = 1, dilation = 1;
  Index before = 0, after = 0;  // padding
  Index out = 1;                // windows

  // From a window's first tap to its last, both included.
  Index span() const { return (kernel - 1) * dilation + 1; }
  Index entry(Index o, Index t) const { return o * stride + t * dilation - before; }
  // Taps [first_tap, last_tap) of window o lie inside.
  Index first_tap(Index o) const {
    const Index missing = before - o * stride;
    return missing <= 0 ? 0 : std::min(kernel, (missing + dilation - 1) / dilation);
  }
  Index last_tap(Index o) const {
    const Index room = extent - 1 + before - o * stride;  // from the first tap to the last entry
    if (room >= span() - 1) return kernel;
    return room < 0 ? 0 : room / dilation + 1;
  }

  auto operator<=>(const WindowAxis&) const = default;
};

// Axes (depth, height, width); those that x lacks, before its own, have extent 1 and one window.
using WindowAxes = std::array<WindowAxis, 3>;

}  // namespace slopewise
