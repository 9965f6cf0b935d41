// The patches of images: for each position of a window on each image, the entries the window covers, row by row.
#pragma once

#include <algorithm>

#include "slopewise/base/shape.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {

// Positions [first, first + count) in the sequence of all positions of all images.
struct Strip {
  Index first, count;
};

// A square window moved over images (height, width, channels) that are padded with zeros on every side.
class Patches {
 public:
  Patches() = default;
  Patches(const Shape& image, Index kernel, Index stride, Index padding)
      : height_(image[0]),
        width_(image[1]),
        channels_(image[2]),
        kernel_(kernel),
        stride_(stride),
        padding_(padding),
        out_height_((height_ + 2 * padding - kernel) / stride + 1),
        out_width_((width_ + 2 * padding - kernel) / stride + 1) {}

  Index out_height() const { return out_height_; }
  Index out_width() const { return out_width_; }
  Index positions() const { return out_height_ * out_width_; }  // of one image
  Index size() const { return kernel_ * kernel_ * channels_; }  // of one patch
  Index image() const { return height_ * width_ * channels_; }  // entries of one image

  // Writes the patches (strip.count, size()) of the images (…, image()).
  template <class T>
  void gather(const T* images, Strip strip, T* patches) const {
    if (padding_ > 0) std::fill_n(patches, strip.count * size(), T{0});
    each_run(strip,
             [&](Index patch, Index image, Index length) { std::copy_n(images + image, length, patches + patch); });
  }

  // The transpose of gather: adds every patch entry to the image entry it came from.
  template <class T>
  void scatter(const T* patches, Strip strip, T* images) const {
    each_run(strip,
             [&](Index patch, Index image, Index length) { axpy(T{1}, patches + patch, images + image, length); });
  }

 private:
  // Calls visit(patch entry, image entry, length) for each run of entries that a patch and its image have in common:
  // the part of a window's row that lies inside the image.
  template <class F>
  void each_run(Strip strip, F visit) const {
    for (Index done = 0; done < strip.count;) {  // one row of positions, or what the strip has of it, at a time
      const Index at = strip.first + done;
      const Index row = at % positions() / out_width_;
      const Index column = at % out_width_;
      const Index columns = std::min(out_width_ - column, strip.count - done);
      for (Index ky = 0; ky < kernel_; ++ky) {
        const Index y = row * stride_ + ky - padding_;
        if (y < 0 || y >= height_) continue;
        const Index line = at / positions() * image() + y * width_ * channels_;
        for (Index i = 0; i < columns; ++i) {
          const Index x = (column + i) * stride_ - padding_;
          const Index begin = std::max<Index>(0, -x);
          const Index end = std::min(kernel_, width_ - x);
          if (begin >= end) continue;
          visit((done + i) * size() + (ky * kernel_ + begin) * channels_, line + (x + begin) * channels_,
                (end - begin) * channels_);
        }
      }
      done += columns;
    }
  }

  Index height_ = 0, width_ = 0, channels_ = 0;
  Index kernel_ = 0, stride_ = 1, padding_ = 0;
  Index out_height_ = 0, out_width_ = 0;
};

}  // namespace slopewise
