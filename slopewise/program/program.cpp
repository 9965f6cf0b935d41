#include "slopewise/program/program.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"

namespace slopewise {

Program::Program(const Node& loss)
    : graph_(std::make_shared<const Graph>(*loss.graph())), loss_(loss.number()), used_(graph_->nodes.size(), false) {
  if (loss.shape().size() != 1) {
    throw ShapeError(fmt::format("program: the loss '{}' has shape {}, expected one number an example", loss.name(),
                                 loss.shape().to_string()));
  }
  if (graph_->nodes[loss_].kind == GraphNode::Kind::kIndices) {
    throw ShapeError(fmt::format("program: the loss '{}' holds integers, expected a number an example", loss.name()));
  }
  used_[loss_] = true;
  for (Index i = loss_; i >= 0; --i) {
    if (!used_[i]) continue;
    for (const Index input : graph_->nodes[i].inputs) used_[input] = true;
  }
  for (std::size_t i = 0; i < used_.size(); ++i) {
    if (graph_->nodes[i].kind == GraphNode::Kind::kParameter && !used_[i]) {
      throw ArgumentError(fmt::format("program: the loss does not depend on parameter '{}'", graph_->nodes[i].name));
    }
  }
}

std::string Program::to_string() const {
  std::string text;
  for (std::size_t i = 0; i < graph_->nodes.size(); ++i) {
    if (!used_[i]) continue;
    const GraphNode& node = graph_->nodes[i];
    text += fmt::format("{:<24} {:<16}", node.name, node.shape.to_string());
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      text += fmt::format("{}{}", k == 0 ? " " : ", ", graph_->nodes[node.inputs[k]].name);
    }
    text += '\n';
  }
  return text + fmt::format("{} parameters\n", size());
}

}  // namespace slopewise
