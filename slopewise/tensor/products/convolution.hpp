// Convolutions by a library that reads images as they lie, without gathering their patches.
#pragma once

#include <compare>

#include "slopewise/tensor/window_axis.hpp"

namespace slopewise {

// y = W ⋆ x of one image, a cross-correlation in float: x (depth, height, width, channels), W (outputs, columns), a row
// the taps of a window (depth, height, width, channels); y (windows…, outputs). No extent is 0.
struct Convolution {
  WindowAxes axes;
  Index channels = 1, outputs = 1;

  Index windows() const { return axes[0].out * axes[1].out * axes[2].out; }
  Index image() const { return axes[0].extent * axes[1].extent * axes[2].extent * channels; }  // entries of x
  Index columns() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel * channels; }

  auto operator<=>(const Convolution&) const = default;
};

// The rows of W that lie together when the library in use convolves: W as *filters* is (⌈outputs / block⌉, columns,
// block), padded by zeros; 16 to 64 of them. 0: the library makes no such convolution on this processor.
Index filter_block(const Convolution& of);

// Entries of a matrix (rows, columns) as filters.
constexpr Index filter_entries(Index rows, Index columns, Index block) {
  return (rows + block - 1) / block * block * columns;
}
// Writes a row-major matrix as filters.
void arrange_filters(const float* matrix, Index rows, Index columns, Index block, float* filters);

// y (+)= W ⋆ x on the calling thread, for filters of a block that is not 0; y and x lie apart. The bits depend on the
// operands alone.
void convolve(const Convolution& of, const float* filters, const float* x, bool accumulate, float* y);

// W̄ (outputs, columns), row-major, Σ ȳ(window, output) x(tap of the window) over the windows of several images: x
// (images, image()), ȳ (images, windows(), outputs). On the calling thread, with filter_gradient_scratch(of, images)
// entries of scratch; 0: the library makes no such gradient on this processor. The bits depend on the operands alone.
void filter_gradient(const Convolution& of, Index images, const float* x, const float* cotangent, float* gradient,
                     float* scratch);
Index filter_gradient_scratch(const Convolution& of, Index images);

}  // namespace slopewise
