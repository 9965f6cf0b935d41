// Building a program: ordinary C++ that makes nodes, each shape-checked when made.
//
//   Builder build;
//   Node x = build.input("image", {784});
//   Node labels = build.indices("label", {});
//   Node logits = linear(relu(linear(x, 1024)), 10);
//   Program program(cross_entropy(logits, labels));
//
// Shapes are those of one example; how many examples there are is said when the program runs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "slopewise/program/constant.hpp"
#include "slopewise/program/op.hpp"
#include "slopewise/tensor/layout.hpp"

namespace slopewise {

struct GraphNode {
  enum class Kind { kInput, kIndices, kParameter, kConstant, kOp };
  Kind kind = Kind::kInput;
  Shape shape;          // of one example
  bool shared = false;  // depends on no input: one row for all examples
  std::string name;     // the input's, the parameter's, or the op's with its number
  std::shared_ptr<const Op> op;
  std::shared_ptr<const Constant> constant;
  std::vector<Index> inputs;  // node numbers
  Index slot = -1;            // number of the input, or of the parameter's segment

  InputInfo info() const { return {.shape = shape, .shared = shared, .integer = kind == Kind::kIndices}; }
};

struct Graph {
  std::vector<GraphNode> nodes;  // in the order made: inputs of a node come before it
  ParameterLayout layout;
  std::vector<Index> inputs;              // node numbers, in the order declared
  std::unordered_set<std::string> names;  // of the nodes
  // For a name and whether it is for parameters: a number below which all are taken, as names are never given back.
  std::map<std::pair<std::string, bool>, Index> first_free;

  // "name1", "name2", …: the first that no node has, nor, for new parameters, any "nameN.weight". So the weights that
  // an op makes share its number: linear1 reads linear1.weight.
  std::string numbered(std::string_view name, bool parameters = true);
};

// A value of the program being built. Cheap to copy.
class Node {
 public:
  Node(std::shared_ptr<Graph> graph, Index number) : graph_(std::move(graph)), number_(number) {}

  const Shape& shape() const { return node().shape; }
  const std::string& name() const { return node().name; }
  bool shared() const { return node().shared; }
  Index number() const { return number_; }
  const std::shared_ptr<Graph>& graph() const { return graph_; }

 private:
  const GraphNode& node() const { return graph_->nodes[number_]; }

  std::shared_ptr<Graph> graph_;
  Index number_;
};

class Builder {
 public:
  Builder() : graph_(std::make_shared<Graph>()) {}
  // The builder that `node` belongs to.
  explicit Builder(const Node& node) : graph_(node.graph()) {}

  // Numbers given with each run; `shape` is one example's.
  Node input(std::string name, Shape shape);
  // Integers given with each run (labels, tokens).
  Node indices(std::string name, Shape shape);
  // A piece of θ. A structured tangent sees it as a matrix of `matrix_rows` rows; a vector passes its own size.
  Node parameter(std::string name, Shape shape, Initializer initializer, Index matrix_rows);
  // A piece of θ of shape (rows of weight's matrix), zero at first, that shares the structured tangent of `weight`.
  Node bias(std::string name, const Node& weight);
  // Numbers that are part of the program: no θ, no tangents. The name is "constantN" where none is given.
  Node constant(Shape shape, Constant::Values values, std::string name = "");
  // The output of an op. Throws ShapeError if the inputs do not fit, ArgumentError if they belong to other builders.
  Node apply(std::shared_ptr<const Op> op, std::vector<Node> inputs);

 private:
  Node add(GraphNode node);

  std::shared_ptr<Graph> graph_;
};

}  // namespace slopewise
