// The order in which a run visits the nodes of a program.
#pragma once

#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// Node i is first made at time i. Then, for an exact gradient, groups of nodes follow from the last to the first: each
// is made again, where its values were not kept, and differentiated, its last node first. In a stream (Workload::ahead)
// the last group is differentiated first; then each of the others, from the first on, is differentiated when it and
// those ahead of it have been made again.
struct Timeline {
  // Group g is nodes [groups[g], groups[g + 1]). `ahead`: how many groups a stream looks ahead; −1: no stream.
  Timeline(const std::vector<Index>& groups, Index ahead);

  std::vector<std::size_t> group;  // of each node
  std::vector<Index> replay;       // when each node is made again
  std::vector<Index> backward;     // when each is differentiated
  std::vector<Index> first_pull;   // of each group of a stream: when cotangents first pass through it
  Index end = 0;                   // after all of these
  std::size_t last_group() const { return last_group_; }

 private:
  std::size_t last_group_;
};

}  // namespace slopewise
