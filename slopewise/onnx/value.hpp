// What a name of an ONNX graph stands for while it becomes a program: numbers known beforehand, or a node.
//
// A program's shapes are those of one example; an ONNX graph writes the batch as an axis like any other. So every
// extent here is a number, or that many times the batch, and a node holds one example's part: the batch axis of the
// extent B has no axis in the node's shape, that of 12 B (heads merged into the batch) has 12 there.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "slopewise/onnx/graph.hpp"
#include "slopewise/program/graph.hpp"

namespace slopewise {

// An index as containers count.
inline std::size_t number_of(Index i) {
  return static_cast<std::size_t>(i);
}

struct Extent {
  Index count = 1;
  bool batch = false;  // count times the number of examples
  // Which of its entries are one example's: of the axis (outer, batch, count / outer) seen as one. 1 where examples
  // come first, as in heads merged into the batch; 12 where 12 steps of time do.
  Index outer = 1;

  bool unit() const { return count == 1 && !batch; }
  bool operator==(const Extent&) const = default;
};
using Extents = std::vector<Extent>;
// "(batch, 12, 2·batch)".
std::string to_string(const Extents& extents);
// The product of the counts: entries of one example.
Index count_of(const Extents& extents);
// The axis that counts examples; −1: none.
Index batch_axis(const Extents& extents);
// An axis as a number from 0 on; −1 where there is none.
Index axis_of(Index axis, std::size_t rank);

// Numbers that do not depend on what goes in, but perhaps on how many examples there are: shapes, indices, constants.
struct Known {
  OnnxType type = OnnxType::kInteger;
  Extents dims = {};                 // an axis that counts examples holds the same for each
  std::vector<double> numbers = {};  // row-major
  std::vector<bool> batch = {};      // whether a number is that many times the batch; empty: none is

  bool counts_batch(std::size_t i) const { return !batch.empty() && batch[i]; }
  // A vector of extents as ONNX's Shape gives it.
  static Known of(const Extents& extents);
};

// A node and the ONNX axes it holds: axis j of its shape is the graph's axis axes[j]. Axes of the extent 1 or B may be
// missing. So a transpose costs nothing until somebody needs another order.
struct Placed {
  Node node;
  Extents dims;
  std::vector<Index> axes;
  bool integer = false;  // one of the graph's inputs that holds integers

  bool shared() const { return node.shared(); }
};

// The node with exactly these axes, in this order; those it lacks have the extent 1. All others must have it too.
Node arrange(const Placed& value, const std::vector<Index>& axes);
// The value with leading axes of one entry, `rank` in all.
Placed padded(const Placed& value, std::size_t rank);
// The numbers cut towards zero.
Node whole_part(const Node& x);
// Every axis in order but a batch axis of the extent B.
std::vector<Index> all_axes(const Extents& dims);
Node arrange(const Placed& value);
// A node that has all_axes(dims) as a value.
Placed place(Node node, Extents dims);
// Numbers, none of them times the batch, as a constant.
Placed place(Builder& builder, const Known& known);

// Row-major numbers of these extents in another order: axis j of the result is axis order[j]. Axes of one entry may be
// left out.
template <class T>
std::vector<T> permuted(const std::vector<T>& numbers, const std::vector<Index>& extents,
                        const std::vector<Index>& order);

// An initializer that has not been read by an op yet: a parameter or a constant, in the order that its first reader
// wants.
struct Weight {
  std::string name;  // of the initializer
  std::shared_ptr<const OnnxTensor> tensor;
  bool may_train = false;
  std::optional<Placed> placed = {};
};

using OnnxValue = std::variant<Known, Placed, std::shared_ptr<Weight>>;

}  // namespace slopewise
