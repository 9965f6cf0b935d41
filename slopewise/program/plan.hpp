// Where everything lives during a run, decided from liveness before the first one.
#pragma once

#include <vector>

#include "slopewise/program/program.hpp"

namespace slopewise {

// Parts of a run's memory begin at multiples of so many entries: whole cache lines.
inline constexpr Index kPlanAlignment = 64 / sizeof(float);

struct NodePlan {
  bool used = false;
  bool stored = false;          // in the run's own memory; otherwise in θ or the caller's batch
  bool tangent = false;         // carries K tangents
  bool second = false;          // carries K second-order terms
  bool rank_one = false;        // its tangents stay factors
  bool drawn = false;           // its tangents stay a function
  bool expanded = false;        // a parameter whose tangents a consumer needs as numbers in memory
  bool packed = false;          // a parameter read as packed weights
  bool bfloat16 = false;        // and in half the width; an op: it has such weights
  bool differentiated = false;  // has a cotangent
  bool cut = false;             // which is given, and not derived from what reads the node
  bool updated = false;         // descent: its cotangent is added to θ as it is made
  bool replayed = false;        // made again before its group is differentiated
  Index next = -1;              // the op that acts on each row as soon as this one has finished it
  bool follows = false;         // it is some op's `next`
  Index parts = 1;              // 1 + K (tangent) + K (second): how many values of `size` a row holds
  Index size = 0;
  Index offset = 0;            // of value, tangents, seconds: in the tile's arena, or the shared one
  Index replay_offset = 0;     // the same while its group is differentiated
  Index cotangent_offset = 0;  // likewise
};

// Entries of what a run calculates in, each part on a boundary of 64 bytes.
struct WorkingMemory {
  Index arenas = 0, shared = 0, scratch = 0;  // all tiles' in flight; the whole run's; all threads'
  Index spare = 0;                            // the giver's
  Index held = 0;                             // a descent's gradient

  Index total() const { return arenas + shared + scratch + spare + held; }
};

struct Plan {
  Workload workload;
  std::vector<NodePlan> nodes;
  std::vector<std::vector<InputInfo>> infos;   // of each op's inputs, where `active` is: gives it tangents
  std::vector<std::vector<InputInfo>> pulled;  // the same on the way back, where it is: gets a cotangent from this op
  // Nodes [groups[g], groups[g + 1]) are differentiated together, the last group first; one group unless checkpointed.
  // With Workload::ahead they are the stretches between cuts, and what follows `error`: first the last one, then the
  // others from the first on.
  std::vector<Index> groups;
  Index tile = 1;  // rows in flight together (a tile), the same at any number of threads
  Index tiles = 1;
  bool one_at_a_time = false;  // threads share the visits of one tile; else each takes tiles of its own
  Index arena = 0;             // entries of one tile's memory
  Index shared_arena = 0;      // entries kept for the whole run
  Index scratch = 0;           // entries of one thread's scratch
  Index scratches = 1;         // threads that use one at once
  Index arenas = 1;            // tiles in flight at once: one a thread
  Index gradient = 0;          // entries of gradient held; in a descent those that are not added to θ at once
  Index spare = 0;             // entries of the giver's spare memory: those of the cuts in one tile

  // Throws std::bad_alloc for more than any memory holds.
  WorkingMemory working() const;
  // In a stream: how many stretches before node i's own look ahead to it.
  Index looks(Index i) const;
};

// Throws ArgumentError for a workload that does not fit the program.
Plan make_plan(const Program& program, const Workload& workload, int threads);

}  // namespace slopewise
