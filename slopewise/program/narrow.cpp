#include "slopewise/program/narrow.hpp"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "slopewise/program/ops/layout.hpp"

namespace slopewise {
namespace {

class Narrowing {
 public:
  explicit Narrowing(const Node& output)
      : graph_(output.graph()), output_(output.number()), readers_(static_cast<std::size_t>(output_) + 1) {
    std::vector<bool> used(readers_.size());
    used[output_] = true;
    for (Index i = output_; i >= 0; --i) {
      if (!used[i]) continue;
      for (const Index input : node(i).inputs) {
        used[input] = true;
        readers_[input].push_back(i);
      }
    }
  }

  Node result() {
    std::vector<Index> path;  // from the output down to the slice
    Index at = output_;
    while (!slice_at(at)) {
      const std::optional<Index> next = only_input(at);
      if (!next) return {graph_, output_};
      path.push_back(at);
      at = *next;
    }
    const Index wide = node(at).inputs[0];
    if (readers(wide).size() != 1) return {graph_, output_};
    plan(wide, *slice_at(at));
    if (!narrow_.contains(wide)) return {graph_, output_};
    for (const auto& [i, how] : narrow_) made_.emplace(i, make(i, how));
    Node last = made_.at(wide);
    for (auto i = path.rbegin(); i != path.rend(); ++i) {
      std::vector<Node> inputs;
      for (const Index input : node(*i).inputs) inputs.push_back(node(input).shared ? Node(graph_, input) : last);
      last = Builder(last).apply(node(*i).op, std::move(inputs));
    }
    return last;
  }

 private:
  // How a node is made of what is left of its inputs.
  struct How {
    Range range;
    NarrowOp op;
  };

  // Nodes that are made move those there are.
  const GraphNode& node(Index i) const { return graph_->nodes[i]; }
  const std::vector<Index>& readers(Index i) const { return readers_[i]; }

  // The range that node i is of its input, where it is a slice along one axis.
  std::optional<Range> slice_at(Index i) const { return node(i).op ? slice_range(*node(i).op) : std::nullopt; }
  std::optional<Index> only_input(Index i) const {
    std::optional<Index> found;
    if (!node(i).op) return {};
    for (const Index input : node(i).inputs) {
      if (node(input).shared) continue;
      if (found || readers(input).size() != 1) return {};
      found = input;
    }
    return found;
  }

  // From the sliced node down: narrow are those whose readers all are and read the same range of them.
  void plan(Index wide, const Range& range) {
    std::map<Index, std::vector<Range>> asked{{wide, {range}}};
    for (Index i = wide; i >= 0; --i) {
      const auto found = asked.find(i);
      if (found == asked.end() || !node(i).op) continue;
      const Range& first = found->second.front();
      if (found->second.size() != readers(i).size()) continue;
      bool alike = true;
      for (const Range& other : found->second) alike = alike && other.axis == first.axis;
      if (!alike) continue;
      std::vector<InputInfo> infos;
      for (const Index input : node(i).inputs) infos.push_back(node(input).info());
      std::optional<NarrowOp> op = node(i).op->narrowed(infos, node(i).shape, first);
      if (!op) continue;
      for (std::size_t k = 0; k < op->axes.size(); ++k) {
        if (op->axes[k] >= 0) asked[node(i).inputs[k]].push_back({op->axes[k], first.begin, first.end});
      }
      narrow_.emplace(i, How{first, std::move(*op)});
    }
  }

  Node make(Index i, const How& how) {
    std::vector<Node> inputs;
    for (std::size_t k = 0; k < how.op.axes.size(); ++k) {
      const Index input = node(i).inputs[k];
      const Node whole(graph_, input);
      if (how.op.axes[k] < 0) {
        inputs.push_back(whole);
      } else if (const auto found = made_.find(input); found != made_.end()) {
        inputs.push_back(found->second);
      } else {
        inputs.push_back(sliced(input, {how.op.axes[k], how.range.begin, how.range.end}));
      }
    }
    const std::shared_ptr<const Op> op = how.op.op ? how.op.op : node(i).op;
    return Builder(inputs[0]).apply(op, std::move(inputs));
  }
  // One slice for all who read it.
  Node sliced(Index i, const Range& range) {
    const auto found = slices_.find({i, range.axis});
    if (found != slices_.end()) return found->second;
    return slices_.emplace(std::pair(i, range.axis), slice(Node(graph_, i), range.axis, range.begin, range.end))
        .first->second;
  }

  std::shared_ptr<Graph> graph_;
  Index output_;
  std::vector<std::vector<Index>> readers_;
  std::map<Index, How> narrow_;
  std::map<Index, Node> made_;
  std::map<std::pair<Index, Index>, Node> slices_;
};

}  // namespace

Node narrowed(const Node& output) {
  return Narrowing(output).result();
}

}  // namespace slopewise
