// The patches of images: for each position of a window on each image, the entries the window covers, row by row.
#pragma once

#include <algorithm>

#include "slopewise/program/ops/windows.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {

// Positions [first, first + count) in the sequence of all positions of all images.
struct Strip {
  Index first, count;
};

// Windows moved over images (depth, height, width, channels) that are padded with zeros. Channels come in groups, and a
// patch holds those of one group.
class Patches {
 public:
  Patches() = default;
  Patches(const WindowAxes& axes, Index channels, Index groups)
      : depth_(axes[0]), height_(axes[1]), width_(axes[2]), channels_(channels), own_(channels / groups) {
    for (const WindowAxis& axis : axes) padded_ = padded_ || axis.before > 0 || axis.after > 0;
  }

  Index positions() const { return depth_.out * height_.out * width_.out; }                   // of one image
  Index size() const { return depth_.kernel * height_.kernel * width_.kernel * own_; }        // of one patch
  Index image() const { return depth_.extent * height_.extent * width_.extent * channels_; }  // entries of one image

  // Writes the patches (strip.count, size()) of one group of the images (…, image()).
  template <class T>
  void gather(const T* images, Strip strip, Index group, T* patches) const {
    clear(strip, patches);
    gather_inside(images, strip, group, patches);
  }
  // The two halves of it: zeros, for what lies beside the images, which is the same entries of a strip's patches
  // whatever the images and the group; and what lies in them, over patches that were cleared.
  template <class T>
  void clear(Strip strip, T* patches) const {
    if (padded_) std::fill_n(patches, strip.count * size(), T{0});
  }
  template <class T>
  void gather_inside(const T* images, Strip strip, Index group, T* patches) const {
    each_run(strip, group,
             [&](Index patch, Index image, Index length) { std::copy_n(images + image, length, patches + patch); });
  }

  // The transpose of gather: adds every patch entry to the image entry it came from.
  template <class T>
  void scatter(const T* patches, Strip strip, Index group, T* images) const {
    each_run(strip, group,
             [&](Index patch, Index image, Index length) { axpy(T{1}, patches + patch, images + image, length); });
  }

 private:
  // Calls visit(patch entry, image entry, length) for each run of entries that a patch and its image have in common:
  // the part of a window's row that lies inside the image, where its taps are neighbours, or one tap.
  template <class F>
  void each_run(Strip strip, Index group, F visit) const {
    const bool neighbours = width_.dilation == 1 && own_ == channels_;
    for (Index done = 0; done < strip.count;) {  // one row of positions, or what the strip has of it, at a time
      const Index at = strip.first + done;
      const Index row = at % positions() / width_.out;
      const Index column = at % width_.out;
      const Index columns = std::min(width_.out - column, strip.count - done);
      const Index plane = row / height_.out, line = row % height_.out;
      for (Index kz = depth_.first_tap(plane); kz < depth_.last_tap(plane); ++kz) {
        for (Index ky = height_.first_tap(line); ky < height_.last_tap(line); ++ky) {
          const Index from =
              at / positions() * image() + group * own_ +
              (depth_.entry(plane, kz) * height_.extent + height_.entry(line, ky)) * width_.extent * channels_;
          const Index to = (kz * height_.kernel + ky) * width_.kernel * own_;
          for (Index i = 0; i < columns; ++i) {
            const Index begin = width_.first_tap(column + i), end = width_.last_tap(column + i);
            const Index patch = (done + i) * size() + to;
            if (begin >= end) continue;
            if (neighbours) {
              visit(patch + begin * own_, from + width_.entry(column + i, begin) * channels_, (end - begin) * own_);
            } else {
              for (Index kx = begin; kx < end; ++kx)
                visit(patch + kx * own_, from + width_.entry(column + i, kx) * channels_, own_);
            }
          }
        }
      }
      done += columns;
    }
  }

  WindowAxis depth_, height_, width_;
  Index channels_ = 0;  // of the images
  Index own_ = 0;       // of one group
  bool padded_ = false;
};

}  // namespace slopewise
