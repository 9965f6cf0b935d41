#include "slopewise/onnx/value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {

std::string to_string(const Extents& extents) {
  std::string text = "(";
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (i > 0) text += ", ";
    if (!extents[i].batch) {
      text += std::to_string(extents[i].count);
    } else {
      text += extents[i].count == 1 ? "batch" : fmt::format("{}·batch", extents[i].count);
    }
  }
  return text + ")";
}

Index count_of(const Extents& extents) {
  Index count = 1;
  for (const Extent& extent : extents) {
    if (__builtin_mul_overflow(count, extent.count, &count)) throw ShapeError("more entries than can be counted");
  }
  return count;
}

Index batch_axis(const Extents& extents) {
  const auto found = std::find_if(extents.begin(), extents.end(), [](const Extent& extent) { return extent.batch; });
  return found == extents.end() ? -1 : found - extents.begin();
}

Index axis_of(Index axis, std::size_t rank) {
  const auto axes = static_cast<Index>(rank);
  if (axis < -axes || axis >= axes) return -1;
  return axis < 0 ? axis + axes : axis;
}

Known Known::of(const Extents& extents) {
  Known known{.dims = {{static_cast<Index>(extents.size())}}};
  for (const Extent& extent : extents) {
    known.numbers.push_back(static_cast<double>(extent.count));
    known.batch.push_back(extent.batch);
  }
  return known;
}

Node arrange(const Placed& value, const std::vector<Index>& axes) {
  if (axes == value.axes) return value.node;
  std::vector<Index> extents;
  for (const Index axis : axes) extents.push_back(value.dims[axis].count);
  // Axes of one entry may be anywhere; the order of the others decides whether entries move.
  std::vector<Index> wanted, order(value.axes.size());
  for (const Index axis : axes) {
    if (value.dims[axis].count != 1) wanted.push_back(axis);
  }
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    const auto place = [&](Index j) { return std::find(wanted.begin(), wanted.end(), value.axes[j]) - wanted.begin(); };
    return place(a) < place(b);
  });
  std::vector<Index> moved, held;
  for (const Index j : order) {
    if (value.node.shape()[j] != 1) moved.push_back(j);
  }
  for (Index j = 0; j < value.node.shape().rank(); ++j) {
    if (value.node.shape()[j] != 1) held.push_back(j);
  }
  Node node = moved == held ? value.node : transpose(value.node, order);
  return node.shape() == Shape(extents) ? node : reshape(node, Shape(extents));
}

Placed padded(const Placed& value, std::size_t rank) {
  const std::size_t more = rank - value.dims.size();
  Placed own{value.node, Extents(more), {}, value.integer};
  own.dims.insert(own.dims.end(), value.dims.begin(), value.dims.end());
  for (const Index axis : value.axes) own.axes.push_back(axis + static_cast<Index>(more));
  return own;
}

std::vector<Index> all_axes(const Extents& dims) {
  std::vector<Index> axes;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (!dims[i].batch || dims[i].count != 1) axes.push_back(static_cast<Index>(i));
  }
  return axes;
}

Node whole_part(const Node& x) {
  return mul(sign(x), floor(abs(x)));
}

Node arrange(const Placed& value) {
  return arrange(value, all_axes(value.dims));
}

Placed place(Node node, Extents dims) {
  std::vector<Index> axes = all_axes(dims);
  return {std::move(node), std::move(dims), std::move(axes)};
}

Placed place(Builder& builder, const Known& known) {
  std::vector<Index> extents;
  for (const Index axis : all_axes(known.dims)) extents.push_back(known.dims[number_of(axis)].count);
  return place(builder.constant(Shape(extents), known.numbers), known.dims);
}

template <class T>
std::vector<T> permuted(const std::vector<T>& numbers, const std::vector<Index>& extents,
                        const std::vector<Index>& order) {
  if (std::is_sorted(order.begin(), order.end())) return numbers;
  const std::size_t rank = order.size();
  std::vector<Index> strides(extents.size(), 1), at(rank, 0);
  for (std::size_t axis = extents.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * extents[axis];
  std::vector<T> moved;
  moved.reserve(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    Index source = 0;
    for (std::size_t j = 0; j < rank; ++j) source += at[j] * strides[order[j]];
    moved.push_back(numbers[source]);
    for (std::size_t j = rank; j-- > 0;) {
      if (++at[j] < extents[order[j]]) break;
      at[j] = 0;
    }
  }
  return moved;
}
template std::vector<float> permuted(const std::vector<float>&, const std::vector<Index>&, const std::vector<Index>&);
template std::vector<double> permuted(const std::vector<double>&, const std::vector<Index>&, const std::vector<Index>&);

}  // namespace slopewise
