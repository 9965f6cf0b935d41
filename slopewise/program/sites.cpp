#include "slopewise/program/sites.hpp"

#include <algorithm>

namespace slopewise {

TrainedSites trained_sites(const Program& program, const ActivitySites& sites) {
  TrainedSites found;
  std::vector<bool> is_site(program.nodes().size()), trains(program.nodes().size());
  for (const Index node : sites.nodes) is_site[node] = true;
  for (Index i = 0; i <= sites.logits; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const GraphNode& node = program.node(i);
    const bool any = node.kind == GraphNode::Kind::kParameter ||
                     std::ranges::any_of(node.inputs, [&](Index input) { return trains[input]; });
    if (any && is_site[at]) found.nodes.push_back(i);
    trains[at] = any && !is_site[at];
    found.logits = any;
  }
  return found;
}

}  // namespace slopewise
