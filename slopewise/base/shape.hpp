// Shapes: the extents of a value, outermost first; row-major everywhere.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace slopewise {

// Counts, extents and offsets.
using Index = std::int64_t;

// The least multiple of `multiple` that is at least `value`, for values from 0 on.
constexpr Index round_up(Index value, Index multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

class Shape {
 public:
  Shape() = default;  // a scalar
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::vector<std::int64_t> extents);  // throws ShapeError if an extent is negative

  std::int64_t rank() const { return static_cast<std::int64_t>(extents_.size()); }
  // Extent of one axis; negative axes count from the end. Throws ShapeError if there is no such axis.
  std::int64_t operator[](std::int64_t axis) const { return extents_[axis_index(axis)]; }
  // Number of entries: the product of the extents, 1 for a scalar.
  std::int64_t size() const;
  // The axis as an index in [0, rank); throws ShapeError if there is no such axis.
  std::size_t axis_index(std::int64_t axis) const;

  const std::vector<std::int64_t>& extents() const { return extents_; }
  auto begin() const { return extents_.begin(); }
  auto end() const { return extents_.end(); }

  bool operator==(const Shape&) const = default;
  // "(28, 28, 1)"; "()" for a scalar.
  std::string to_string() const;

 private:
  std::vector<std::int64_t> extents_;
};

}  // namespace slopewise
