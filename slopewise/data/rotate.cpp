#include "slopewise/data/rotate.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"

namespace slopewise {

void rotate_images(Dataset& dataset, double degrees) {
  const Shape& shape = dataset.image_shape;
  if (shape.rank() != 3)
    throw ArgumentError(fmt::format("rotate: expected images, found rows of {}", shape.to_string()));
  const double angle = degrees * std::numbers::pi / 180;
  const double cosine = std::cos(angle), sine = std::sin(angle);
  const Index height = shape[0], width = shape[1], channels = shape[2];
  const double middle_y = static_cast<double>(height - 1) / 2, middle_x = static_cast<double>(width - 1) / 2;
  const bool bytes = dataset.inputs.type() == NumberType::kUint8;
  std::vector<std::uint8_t> turned_bytes;
  std::vector<float> turned;
  (bytes ? turned_bytes.resize(static_cast<std::size_t>(dataset.count() * shape.size()))
         : turned.resize(static_cast<std::size_t>(dataset.count() * shape.size())));
  constexpr Index kImagesAPiece = 64;
  parallel_for((dataset.count() + kImagesAPiece - 1) / kImagesAPiece, [&](Index piece) {
    std::vector<float> before(static_cast<std::size_t>(shape.size()));
    const Index end = std::min(dataset.count(), (piece + 1) * kImagesAPiece);
    for (Index i = piece * kImagesAPiece; i < end; ++i) {
      gather_stored<float>(dataset, {&i, 1}, before);
      const auto at = [&](Index y, Index x, Index c) {
        const bool inside = y >= 0 && y < height && x >= 0 && x < width;
        return inside ? static_cast<double>(before[(y * width + x) * channels + c]) : 0.0;
      };
      for (Index y = 0; y < height; ++y) {
        for (Index x = 0; x < width; ++x) {
          // Where this pixel was: the turn backwards, with y pointing down.
          const double dy = static_cast<double>(y) - middle_y, dx = static_cast<double>(x) - middle_x;
          const double from_y = middle_y + sine * dx + cosine * dy, from_x = middle_x + cosine * dx - sine * dy;
          const double floor_y = std::floor(from_y), floor_x = std::floor(from_x);
          const double v = from_y - floor_y, u = from_x - floor_x;
          const auto y0 = static_cast<Index>(floor_y), x0 = static_cast<Index>(floor_x);
          for (Index c = 0; c < channels; ++c) {
            const double value = (1 - v) * ((1 - u) * at(y0, x0, c) + u * at(y0, x0 + 1, c)) +
                                 v * ((1 - u) * at(y0 + 1, x0, c) + u * at(y0 + 1, x0 + 1, c));
            const auto place = static_cast<std::size_t>(i * shape.size() + (y * width + x) * channels + c);
            if (bytes) {
              turned_bytes[place] = static_cast<std::uint8_t>(std::lround(value));
            } else {
              turned[place] = static_cast<float>(value);
            }
          }
        }
      }
    }
  });
  dataset.inputs = bytes ? Rows(std::move(turned_bytes), shape.size()) : Rows(std::move(turned), shape.size());
  dataset.channels_first = false;
  dataset.selection.clear();
}

}  // namespace slopewise
