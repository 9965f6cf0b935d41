#include "slopewise/onnx/moves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "slopewise/program/ops/arithmetic.hpp"
#include "slopewise/program/ops/layout.hpp"

namespace slopewise {
namespace {

Shape shape_of(const Extents& dims) {
  std::vector<Index> extents;
  for (const Index axis : all_axes(dims)) extents.push_back(dims[axis].count);
  return Shape(extents);
}

const Extents& dims_of(const OnnxValue& value) {
  if (const auto* known = std::get_if<Known>(&value)) return known->dims;
  return std::get<Placed>(value).dims;
}

}  // namespace

Index flat(const Extents& dims, const std::vector<Index>& at) {
  Index number = 0;
  for (std::size_t axis = 0; axis < dims.size(); ++axis) number = number * dims[axis].count + at[axis];
  return number;
}

Index entries_above(const Extents& dims, Index axis) {
  return count_of({dims.begin(), dims.begin() + axis}) * dims[number_of(axis)].outer;
}

bool place_examples(Extents& dims, Index axis, Index above) {
  const Index before = count_of({dims.begin(), dims.begin() + axis});
  Extent& extent = dims[number_of(axis)];
  if (before == 0 || above == 0) return true;
  if (above % before != 0 || extent.count % (above / before) != 0) return false;
  extent.outer = above / before;
  return true;
}

Placed seen_as(const Node& node, const Extents& dims) {
  const Shape shape = shape_of(dims);
  return place(node.shape() == shape ? node : reshape(node, shape), dims);
}

OnnxValue read(ImportStep& step, const OnnxValue& value) {
  const auto* weight = std::get_if<std::shared_ptr<Weight>>(&value);
  if (!weight) return value;
  std::vector<Index> order((*weight)->tensor->dims.size());
  std::iota(order.begin(), order.end(), 0);
  return step.importer().placed(**weight, order, Role::kOther);
}

OnnxValue moved(ImportStep& step, std::size_t i, const Move& move, double fill) {
  return moved(step, step.value(i), move, fill);
}

OnnxValue moved(ImportStep& step, const OnnxValue& value, const Move& move, double fill) {
  const OnnxValue from = read(step, value);
  if (const auto* known = std::get_if<Known>(&from)) {
    Known result{known->type, move.dims, {}, {}};
    for (const Index source : move.index) {
      result.numbers.push_back(source < 0 ? fill : known->numbers[source]);
      if (!known->batch.empty()) result.batch.push_back(source >= 0 && known->batch[source]);
    }
    return result;
  }
  const auto& placed = std::get<Placed>(from);
  const Node numbers_of = placed.integer ? numbers(placed.node) : placed.node;
  Node node = rearrange(arrange({numbers_of, placed.dims, placed.axes}), shape_of(move.dims), move.index);
  if (fill != 0) {
    std::vector<double> filled;
    for (const Index source : move.index) filled.push_back(source < 0 ? fill : 0);
    node = add(node, step.builder().constant(node.shape(), std::move(filled)));
  }
  return place(node, move.dims);
}

OnnxValue reshaped(ImportStep& step, const OnnxValue& value, Extents dims) {
  const OnnxValue from = read(step, value);
  const Extents& before = dims_of(from);
  const Index batch = batch_axis(before), now = batch_axis(dims);
  if (count_of(before) != count_of(dims) || (batch < 0) != (now < 0)) {
    step.refuse(fmt::format("{} cannot be seen as {}", to_string(before), to_string(dims)));
  }
  if (batch >= 0 && !place_examples(dims, now, entries_above(before, batch))) {
    step.refuse(fmt::format("seeing {} as {} would mix examples", to_string(before), to_string(dims)));
  }
  if (const auto* known = std::get_if<Known>(&from)) return Known{known->type, dims, known->numbers, known->batch};
  const auto& placed = std::get<Placed>(from);
  const Node node = placed.integer ? numbers(placed.node) : placed.node;
  return seen_as(arrange({node, placed.dims, placed.axes}), dims);
}

OnnxValue sliced(ImportStep& step, const OnnxValue& value, Index axis, Index begin, Index end) {
  const OnnxValue from = read(step, value);
  Extents dims = dims_of(from);
  step.require_one_example(dims, axis);
  const Extents before = dims;
  dims[axis].count = end - begin;
  const auto* placed = std::get_if<Placed>(&from);
  if (placed && !placed->integer) {
    const auto found = std::find(placed->axes.begin(), placed->axes.end(), axis);
    if (found != placed->axes.end())
      return Placed{slice(placed->node, found - placed->axes.begin(), begin, end), dims, placed->axes};
  }
  return moved(step, from, make_move(dims, [&](std::vector<Index> at) {
                 at[axis] += begin;
                 return flat(before, at);
               }));
}

OnnxValue concatenated(ImportStep& step, const std::vector<OnnxValue>& values, Index axis) {
  const auto along = static_cast<std::size_t>(axis);
  std::vector<OnnxValue> parts;
  for (const OnnxValue& value : values) parts.push_back(read(step, value));
  // An axis of one entry beside one that counts examples is the same for each.
  Extents dims = dims_of(parts[0]);
  for (const OnnxValue& part : parts) {
    const Extents& own = dims_of(part);
    if (own.size() != dims.size())
      step.refuse(fmt::format("{} and {} have different numbers of axes", to_string(dims), to_string(own)));
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (own[i].batch && dims[i].unit()) dims[i] = own[i];
    }
  }
  step.require_one_example(dims, axis);
  dims[along].count = 0;
  bool known = true;
  for (const OnnxValue& part : parts) {
    const Extents& own = dims_of(part);
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (i != along && own[i] != dims[i] && !(own[i].unit() && dims[i] == Extent{1, true}))
        step.refuse(
            fmt::format("{} and {} differ in more than axis {}", to_string(dims_of(parts[0])), to_string(own), axis));
    }
    dims[along].count += own[along].count;
    known = known && std::holds_alternative<Known>(part);
  }
  if (known) {
    if (count_of(dims) > kMostMoved) step.refuse("more numbers than are kept beforehand");
    Known result{std::get<Known>(parts[0]).type, dims, {}, {}};
    const Index above = count_of({dims.begin(), dims.begin() + axis});
    const Index below = count_of({dims.begin() + axis + 1, dims.end()});
    for (Index a = 0; a < above; ++a) {
      for (const OnnxValue& part : parts) {
        const Known& own = std::get<Known>(part);
        const Index run = own.dims[along].count * below;
        for (Index i = a * run; i < (a + 1) * run; ++i) {
          result.numbers.push_back(own.numbers[i]);
          result.batch.push_back(own.counts_batch(static_cast<std::size_t>(i)));
        }
      }
    }
    return result;
  }
  // In the order that the first part with one row an example has, if that has all axes.
  std::vector<Placed> placed;
  std::vector<Index> axes = all_axes(dims);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (const auto* part = std::get_if<Placed>(&parts[p])) {
      placed.push_back({part->integer ? numbers(part->node) : part->node, part->dims, part->axes});
    } else {
      const Known& numbers_of = std::get<Known>(parts[p]);
      if (std::find(numbers_of.batch.begin(), numbers_of.batch.end(), true) != numbers_of.batch.end())
        step.refuse("a part depends on the number of examples");
      placed.push_back(place(step.builder().constant(shape_of(numbers_of.dims), numbers_of.numbers), numbers_of.dims));
    }
  }
  for (const Placed& part : placed) {
    if (part.shared()) continue;
    std::vector<Index> sorted = part.axes;
    std::sort(sorted.begin(), sorted.end());
    if (sorted == axes) axes = part.axes;
    break;
  }
  const Index at = std::find(axes.begin(), axes.end(), axis) - axes.begin();
  std::vector<Node> nodes;
  for (Placed& part : placed) {
    part.dims[along].batch = false;
    nodes.push_back(arrange(part, axes));
  }
  // An op takes so many inputs at once.
  while (nodes.size() > 1) {
    std::vector<Node> fewer;
    for (std::size_t i = 0; i < nodes.size(); i += kMostInputs) {
      const std::size_t end = std::min(nodes.size(), i + kMostInputs);
      fewer.push_back(end - i == 1 ? nodes[i]
                                   : concatenate({nodes.begin() + static_cast<std::ptrdiff_t>(i),
                                                  nodes.begin() + static_cast<std::ptrdiff_t>(end)},
                                                 at));
    }
    nodes = std::move(fewer);
  }
  return Placed{nodes[0], dims, axes};
}

}  // namespace slopewise
