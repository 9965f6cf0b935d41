// Windows moved over one to three spatial axes of x (spatial…, channels), for convolutions and pooling.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/shape.hpp"
#include "slopewise/tensor/window_axis.hpp"

namespace slopewise {

// Numbers of windows, taps and entries of padding stay far from what an Index holds.
inline constexpr Index kLargestExtent = Index{1} << 30;

// What an op says of its windows, a number for each spatial axis; none: 1, or 0 for the padding.
struct WindowOptions {
  const std::vector<Index>& strides;
  const std::vector<Index>& dilations;
  const std::vector<Index>& pads_begin;
  const std::vector<Index>& pads_end;
};

// The windows of `kernel` over the spatial axes of x, without the number of them (`out`). Throws ShapeError.
inline WindowAxes window_axes(std::string_view op, const Shape& x, const std::vector<Index>& kernel,
                              const WindowOptions& options) {
  const Index rank = x.rank() - 1;
  if (rank < 1 || rank > 3 || static_cast<Index>(kernel.size()) != rank) {
    throw ShapeError(
        fmt::format("{}: expected x (spatial…, channels) of 1 to 3 spatial axes and a kernel of as many, "
                    "found {} and a kernel of {}",
                    op, x.to_string(), kernel.size()));
  }
  WindowAxes axes;
  for (Index i = 0; i < rank; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto given = [&](const std::vector<Index>& numbers, std::string_view what, Index otherwise) {
      if (numbers.empty()) return otherwise;
      if (static_cast<Index>(numbers.size()) != rank || numbers[at] < otherwise || numbers[at] > kLargestExtent) {
        throw ShapeError(fmt::format("{}: expected {} of at least {} for each of {} spatial axes, found ({})", op, what,
                                     otherwise, rank, fmt::join(numbers, ", ")));
      }
      return numbers[at];
    };
    WindowAxis& axis = axes[3 - rank + i];
    axis = {.extent = x[i],
            .kernel = given(kernel, "a kernel", 1),
            .stride = given(options.strides, "strides", 1),
            .dilation = given(options.dilations, "dilations", 1),
            .before = given(options.pads_begin, "padding", 0),
            .after = given(options.pads_end, "padding", 0)};
  }
  return axes;
}

// How many whole windows there are along each axis. Throws ShapeError where there is none.
inline void count_windows(std::string_view op, const Shape& x, WindowAxes& axes) {
  for (WindowAxis& axis : axes) {
    const Index room = axis.extent + axis.before + axis.after - axis.span();
    if (room < 0) {
      throw ShapeError(fmt::format("{}: a window of {} taps, {} apart, with padding {} and {} does not fit x {}", op,
                                   axis.kernel, axis.dilation, axis.before, axis.after, x.to_string()));
    }
    axis.out = room / axis.stride + 1;
  }
}

// The shape (windows…, channels) of as many axes as `like` has.
inline Shape windows_shape(const WindowAxes& axes, const Shape& like, Index channels) {
  std::vector<Index> extents;
  for (Index i = 4 - like.rank(); i < 3; ++i) extents.push_back(axes[i].out);
  extents.push_back(channels);
  return Shape(extents);
}

}  // namespace slopewise
