// Where everything lives during a run, decided from liveness before the first one.
#pragma once

#include <vector>

#include "slopewise/program/program.hpp"

namespace slopewise {

struct NodePlan {
  bool used = false;
  bool stored = false;          // in the run's own memory; otherwise in θ or the caller's batch
  bool tangent = false;         // carries K tangents
  bool second = false;          // carries K second-order terms
  bool rank_one = false;        // its tangents stay factors
  bool expanded = false;        // a parameter whose rank-one tangents a consumer needs dense
  bool packed = false;          // a parameter read as packed weights
  bool differentiated = false;  // pullback: has a cotangent
  Index parts = 1;              // 1 + K (tangent) + K (second): how many values of `size` a row holds
  Index size = 0;
  Index offset = 0;            // of value, tangents, seconds: in the tile's arena, or the shared one
  Index cotangent_offset = 0;  // likewise
};

struct Plan {
  Workload workload;
  std::vector<NodePlan> nodes;
  std::vector<std::vector<InputInfo>> infos;  // of each op's inputs
  Index tile = 1;                             // rows in flight together (a tile), the same at any number of threads
  Index tiles = 1;
  Index arena = 0;         // entries of one tile's memory
  Index shared_arena = 0;  // entries kept for the whole run
  Index scratch = 0;       // entries of one thread's scratch
  Index arenas = 1;        // tiles in flight at once: one a thread
};

// Throws ArgumentError for a workload that does not fit the program.
Plan make_plan(const Program& program, const Workload& workload, int threads);

}  // namespace slopewise
