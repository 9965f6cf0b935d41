// Where everything a run makes lies in its memory.
#pragma once

#include <vector>

#include "slopewise/program/plan.hpp"

namespace slopewise {

// What a plan is placed by.
struct PlacementView {
  const Program& program;
  const std::vector<std::vector<Index>>& consumers;  // of each node: the used ops that read it, once for each time
  const std::vector<Index>& home;        // of each node: that whose memory it uses, itself or what it writes over
  const std::vector<bool>& read_at_end;  // nodes whose values are read after the last visit
};

// Gives every stored value and cotangent its place, by liveness along the run (Timeline), and marks those that are made
// again instead of kept. Sets the offsets of the nodes, Plan::arena and Plan::shared_arena. Throws std::bad_alloc for
// what no memory holds.
void place(Plan& plan, const PlacementView& view);

}  // namespace slopewise
