#include "slopewise/program/stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

class Finder {
 public:
  Finder(const Program& program, Index logits) : program_(program), logits_(logits) {
    follow_weights();
    find_passages();
  }

  // Where units of the stream end: sums of two branches that begin at one passage, with what follows each of them (a
  // norm, a ReLU); before them where the first begins. Empty where there are none.
  std::vector<Index> unit_ends() const {
    std::vector<std::size_t> sums;  // passages
    for (std::size_t p = 1; p < passages_.size(); ++p) {
      if (is_sum(passages_[p]) && passages_[p - 1] != previous(passages_[p])) sums.push_back(p);
    }
    if (sums.empty()) return {};
    std::vector<Index> ends{passages_[sums.front() - 1]};
    const std::size_t after = common_tail(sums);
    for (const std::size_t sum : sums) ends.push_back(passages_[sum + after]);
    return ends;
  }

  // What layers read, but for the first.
  std::vector<Index> layer_inputs() const {
    std::vector<Index> inputs;
    for (std::size_t p = 1; p < passages_.size(); ++p) {
      const bool joined = weighted_inputs(passages_[p]) > 1;
      if (has_product(passages_[p]) || joined) inputs.push_back(passages_[p - 1]);
    }
    return inputs;
  }

  // The ops between two cuts, but for those that move entries.
  std::string signature(Index from, Index to) const {
    std::string names;
    for (Index i = from + 1; i <= to; ++i) {
      if (weighted(i) && !moves(i)) names += fmt::format("{} ", name(i));
    }
    return names;
  }

 private:
  bool weighted(Index i) const { return weighted_[i]; }
  std::string_view name(Index i) const { return program_.node(i).op->name(); }
  bool moves(Index i) const {
    constexpr std::string_view kMoves[] = {"reshape", "transpose", "slice", "rearrange", "concatenate"};
    return std::ranges::find(kMoves, name(i)) != std::end(kMoves);
  }
  bool reads_weights(const GraphNode& node) const {
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const GraphNode& input = program_.node(node.inputs[k]);
      if (input.kind == GraphNode::Kind::kParameter) return true;
      if (input.kind == GraphNode::Kind::kConstant && input.shape.rank() >= 2 &&
          (node.op->takes(k).packed || node.op->name() == "embedding"))
        return true;
    }
    return false;
  }
  // weighted_[i]: node i has a row for each example that weights have a share in. So a mask made of the inputs is
  // none, which every block may read.
  void follow_weights() {
    weighted_.assign(program_.nodes().size(), false);
    for (Index i = 0; i <= logits_; ++i) {
      const GraphNode& node = program_.node(i);
      if (!node.op || node.shared || !program_.used(i)) continue;
      bool any = reads_weights(node);
      for (std::size_t k = 0; k < node.inputs.size(); ++k)
        any = any || (node.op->takes(k).varies && weighted(node.inputs[k]));
      weighted_[i] = any;
    }
  }
  // Passages: weighted nodes that nothing weighted goes past.
  void find_passages() {
    std::vector<Index> furthest(program_.nodes().size(), -1);  // what reads node i last
    for (Index i = 0; i <= logits_; ++i) {
      if (!program_.used(i) || !program_.node(i).op) continue;
      for (const Index input : program_.node(i).inputs) furthest[input] = i;
    }
    Index past = -1;
    for (Index i = 0; i <= logits_; ++i) {
      if (!weighted(i)) continue;
      if (past <= i) passages_.push_back(i);
      past = std::max(past, furthest[i]);
    }
  }
  Index weighted_inputs(Index i) const {
    return std::ranges::count_if(program_.node(i).inputs, [&](Index input) { return weighted(input); });
  }
  bool is_sum(Index i) const { return name(i) == "add" && weighted_inputs(i) > 1; }
  Index previous(Index i) const {
    const auto& inputs = program_.node(i).inputs;
    return std::ranges::all_of(inputs, [&](Index input) { return input == inputs[0]; }) ? inputs[0] : -1;
  }
  // How many passages follow every sum alike before the next unit or product begins.
  std::size_t common_tail(const std::vector<std::size_t>& sums) const {
    for (std::size_t length = 1;; ++length) {
      for (const std::size_t sum : sums) {
        const std::size_t p = sum + length;
        if (p >= passages_.size()) return length - 1;
        const Index node = passages_[p];
        const auto& inputs = program_.node(node).inputs;
        const bool next = std::ranges::find(inputs, passages_[p - 1]) != inputs.end() && weighted_inputs(node) == 1;
        if (!next || moves(node) || has_product(node) || name(node) != name(passages_[sums[0] + length]))
          return length - 1;
      }
    }
  }
  bool has_product(Index i) const {
    const GraphNode& node = program_.node(i);
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      if (program_.node(node.inputs[k]).shared && node.op->takes(k).packed) return true;
    }
    return false;
  }

  const Program& program_;
  Index logits_;
  std::vector<bool> weighted_;
  std::vector<Index> passages_;
};

}  // namespace

Stream find_stream(const Program& program, Index logits) {
  const Finder finder(program, logits);
  const std::vector<Index> ends = finder.unit_ends();
  if (ends.empty()) return {.cuts = finder.layer_inputs()};
  std::vector<std::string> units;
  for (std::size_t i = 1; i < ends.size(); ++i) units.push_back(finder.signature(ends[i - 1], ends[i]));
  const auto repeats = [&](std::size_t period) {
    for (std::size_t i = period; i < units.size(); ++i) {
      if (units[i] != units[i - period]) return false;
    }
    return units.size() % period == 0;
  };
  std::size_t period = 1;
  while (2 * period <= units.size() && !repeats(period)) ++period;
  if (2 * period > units.size()) period = 1;
  Stream stream{.residual = true};
  for (std::size_t i = 0; i < ends.size(); i += period) stream.cuts.push_back(ends[i]);
  return stream;
}

ActivitySites sites_below(const Program& program, const ActivitySites& sites, Index blocks) {
  const Stream stream = find_stream(program, sites.logits);
  if (stream.cuts.empty()) throw ArgumentError("exact blocks: expected a model with hidden layers");
  if (blocks < 0 || blocks > stream.blocks()) {
    throw ArgumentError(fmt::format(
        "exact blocks: expected 0 to {}, as many as the model has above the first, found {}", stream.blocks(), blocks));
  }
  ActivitySites below = sites;
  below.head = stream.cuts[stream.blocks() - blocks];
  const std::vector<bool> made_of = ancestors(program, below.head);
  std::erase_if(below.nodes, [&](Index site) { return !made_of[site]; });
  return below;
}

std::vector<bool> ancestors(const Program& program, Index node) {
  std::vector<bool> found(program.nodes().size());
  found[node] = true;
  for (Index i = node; i >= 0; --i) {
    if (!found[i]) continue;
    for (const Index input : program.node(i).inputs) found[input] = true;
  }
  return found;
}

}  // namespace slopewise
