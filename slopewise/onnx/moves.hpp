// Entries of a value that move: one table serves numbers known beforehand and nodes.
#pragma once

#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/onnx/importer.hpp"

namespace slopewise {

// Where each entry of one example of the result comes from, both counted row-major; −1: from nowhere.
struct Move {
  Extents dims;
  std::vector<Index> index;
};

// No example has more entries: tables hold eight bytes for each.
inline constexpr Index kMostMoved = Index{1} << 28;

// The move to `dims` where entry `at` of the result is entry source(at) of a value of the extents `from`, or nothing
// where that is −1.
template <class F>
Move make_move(Extents dims, F source) {
  Move move{std::move(dims), {}};
  const Index count = count_of(move.dims);
  if (count < 0 || count > kMostMoved) throw ShapeError("more entries than are moved by a table");
  move.index.reserve(static_cast<std::size_t>(count));
  std::vector<Index> at(move.dims.size(), 0);
  for (Index i = 0; i < count; ++i) {
    move.index.push_back(source(at));
    for (std::size_t axis = at.size(); axis-- > 0;) {
      if (++at[axis] < move.dims[axis].count) break;
      at[axis] = 0;
    }
  }
  return move;
}

// The number of entry `at`, counted row-major.
Index flat(const Extents& dims, const std::vector<Index>& at);

// Input i of the step, moved; `fill` stands where nothing comes from.
OnnxValue moved(ImportStep& step, std::size_t i, const Move& move, double fill = 0);
OnnxValue moved(ImportStep& step, const OnnxValue& value, const Move& move, double fill = 0);

// The value with other axes of the same entries. Throws through step.refuse() where that would mix examples.
OnnxValue reshaped(ImportStep& step, const OnnxValue& value, Extents dims);
// Entries [begin, end) of an axis.
OnnxValue sliced(ImportStep& step, const OnnxValue& value, Index axis, Index begin, Index end);
// The values one after another along an axis.
OnnxValue concatenated(ImportStep& step, const std::vector<OnnxValue>& parts, Index axis);
// Entries of an axis of input `from` by the indices of another input.
OnnxValue gathered(ImportStep& step, std::size_t from, std::size_t indices, Index axis);
// Entries of one example of what lies outside of the examples, where this axis counts them: the product of the extents
// before it, and its own outer part.
Index entries_above(const Extents& dims, Index axis);
// Gives the axis that counts examples the outer part that `above` entries outside of them make; false where none does.
bool place_examples(Extents& dims, Index axis, Index above);
// A node of as many entries as one example of these extents has, seen as that.
Placed seen_as(const Node& node, const Extents& dims);
// A weight as a node with its axes as they are in the file; what is no weight stays as it is.
OnnxValue read(ImportStep& step, const OnnxValue& value);

}  // namespace slopewise
