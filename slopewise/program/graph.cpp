#include "slopewise/program/graph.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"

namespace slopewise {

std::string Graph::numbered(std::string_view name, bool parameters) {
  for (Index& number = first_free.try_emplace({std::string(name), parameters}, 1).first->second;; ++number) {
    std::string candidate = fmt::format("{}{}", name, number);
    if (!names.contains(candidate) && !(parameters && names.contains(candidate + ".weight"))) return candidate;
  }
}

Node Builder::add(GraphNode node) {
  graph_->names.insert(node.name);
  graph_->nodes.push_back(std::move(node));
  return {graph_, static_cast<Index>(graph_->nodes.size()) - 1};
}

Node Builder::input(std::string name, Shape shape) {
  graph_->inputs.push_back(static_cast<Index>(graph_->nodes.size()));
  return add({.kind = GraphNode::Kind::kInput,
              .shape = std::move(shape),
              .name = std::move(name),
              .slot = static_cast<Index>(graph_->inputs.size()) - 1});
}

Node Builder::indices(std::string name, Shape shape) {
  graph_->inputs.push_back(static_cast<Index>(graph_->nodes.size()));
  return add({.kind = GraphNode::Kind::kIndices,
              .shape = std::move(shape),
              .name = std::move(name),
              .slot = static_cast<Index>(graph_->inputs.size()) - 1});
}

Node Builder::parameter(std::string name, Shape shape, Initializer initializer, Index matrix_rows) {
  const Index segment = graph_->layout.add(name, shape, initializer, matrix_rows);
  return add({.kind = GraphNode::Kind::kParameter,
              .shape = std::move(shape),
              .shared = true,
              .name = std::move(name),
              .slot = segment});
}

Node Builder::bias(std::string name, const Node& weight) {
  const GraphNode& owner = graph_->nodes[weight.number()];
  if (owner.kind != GraphNode::Kind::kParameter) {
    throw ArgumentError(fmt::format("bias '{}': expected a parameter to belong to, found '{}'", name, owner.name));
  }
  const Index segment = graph_->layout.add_bias(name, owner.slot);
  return add({.kind = GraphNode::Kind::kParameter,
              .shape = graph_->layout.segments[segment].shape,
              .shared = true,
              .name = std::move(name),
              .slot = segment});
}

Node Builder::constant(Shape shape, Constant::Values values, std::string name) {
  if (name.empty()) name = graph_->numbered("constant", false);
  auto held = std::make_shared<const Constant>(shape, std::move(values));
  return add({.kind = GraphNode::Kind::kConstant,
              .shape = std::move(shape),
              .shared = true,
              .name = std::move(name),
              .constant = std::move(held)});
}

Node Builder::apply(std::shared_ptr<const Op> op, std::vector<Node> inputs) {
  GraphNode node{.kind = GraphNode::Kind::kOp, .shared = true};
  std::vector<InputInfo> infos;
  for (const Node& input : inputs) {
    if (input.graph() != graph_) {
      throw ArgumentError(fmt::format("{}: input '{}' belongs to another program", op->name(), input.name()));
    }
    const GraphNode& made = graph_->nodes[input.number()];
    if (made.kind == GraphNode::Kind::kIndices && !op->takes(node.inputs.size()).integer) {
      throw ShapeError(fmt::format("{}: input '{}' holds integers, expected numbers", op->name(), made.name));
    }
    infos.push_back(made.info());
    node.inputs.push_back(input.number());
    node.shared = node.shared && made.shared;
  }
  if (infos.empty() || infos.size() > kMostInputs) {
    throw ArgumentError(fmt::format("{}: expected 1 to {} inputs, found {}", op->name(), kMostInputs, infos.size()));
  }
  node.shape = op->shape(infos);
  node.name = graph_->numbered(op->name(), false);
  node.op = std::move(op);
  return add(std::move(node));
}

}  // namespace slopewise
