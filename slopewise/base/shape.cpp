#include "slopewise/base/shape.hpp"

#include <fmt/format.h>

#include <limits>

#include "slopewise/base/error.hpp"

namespace slopewise {

Shape::Shape(std::initializer_list<std::int64_t> extents) : Shape(std::vector<std::int64_t>(extents)) {}

Shape::Shape(std::vector<std::int64_t> extents) : extents_(std::move(extents)) {
  std::int64_t size = 1;
  for (const std::int64_t extent : extents_) {
    if (extent < 0) throw ShapeError(fmt::format("shape {}: extents must not be negative", to_string()));
    if (__builtin_mul_overflow(size, extent, &size)) {
      throw ShapeError(
          fmt::format("shape {}: more than {} entries", to_string(), std::numeric_limits<std::int64_t>::max()));
    }
  }
}

std::int64_t Shape::size() const {
  std::int64_t size = 1;
  for (const std::int64_t extent : extents_) size *= extent;
  return size;
}

std::size_t Shape::axis_index(std::int64_t axis) const {
  const std::int64_t index = axis < 0 ? axis + rank() : axis;
  if (index < 0 || index >= rank()) {
    throw ShapeError(
        fmt::format("axis {} of shape {}: expected an axis in [{}, {})", axis, to_string(), -rank(), rank()));
  }
  return static_cast<std::size_t>(index);
}

std::string Shape::to_string() const {
  std::string text = "(";
  for (std::size_t i = 0; i < extents_.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(extents_[i]);
  }
  return text + ")";
}

}  // namespace slopewise
