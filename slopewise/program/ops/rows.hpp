// Any axes seen as the last ones: what acts on rows of neighbours then serves them all.
#pragma once

#include <algorithm>
#include <vector>

#include "slopewise/program/ops/layout.hpp"

namespace slopewise {

// The shape with extent 1 in place of the axes, or of all where none is given.
inline Shape kept_shape(const Shape& shape, const std::vector<Index>& axes) {
  std::vector<Index> kept(shape.extents().size(), 1);
  if (axes.empty()) return Shape(kept);
  kept = shape.extents();
  for (const Index axis : axes) kept[shape.axis_index(axis)] = 1;
  return Shape(kept);
}

struct Rows {
  Node x;         // with the axes last, in their order
  Index length;   // entries along the axes together
  Shape reduced;  // without the axes
};

// Over all axes where none is given. Throws ShapeError for an axis that x does not have.
inline Rows rows_along(const Node& x, const std::vector<Index>& axes) {
  const Shape& shape = x.shape();
  std::vector<bool> gone(shape.extents().size(), axes.empty());
  for (const Index axis : axes) gone[shape.axis_index(axis)] = true;
  std::vector<Index> order, last, reduced;
  Index length = 1;
  for (std::size_t axis = 0; axis < gone.size(); ++axis) {
    (gone[axis] ? last : order).push_back(static_cast<Index>(axis));
    if (gone[axis]) {
      length *= shape.extents()[axis];
    } else {
      reduced.push_back(shape.extents()[axis]);
    }
  }
  order.insert(order.end(), last.begin(), last.end());
  return {.x = std::is_sorted(order.begin(), order.end()) ? x : transpose(x, order),
          .length = length,
          .reduced = Shape(reduced)};
}

// f along one axis of x, where f acts along the last one and keeps the shape.
template <class F>
Node along_axis(const Node& x, Index axis, F f) {
  const auto along = static_cast<Index>(x.shape().axis_index(axis));
  if (along + 1 == x.shape().rank()) return f(x);
  std::vector<Index> back;
  for (Index i = 0; i < x.shape().rank(); ++i)
    back.push_back(i < along ? i : (i == along ? x.shape().rank() - 1 : i - 1));
  return transpose(f(rows_along(x, {along}).x), back);
}

}  // namespace slopewise
