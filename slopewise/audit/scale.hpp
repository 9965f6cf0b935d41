// What a step takes by many ranks: a rank's share of it as this machine runs it, and what they send each other as a
// network of given latency and bandwidth carries it.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "slopewise/train/trainer.hpp"

namespace slopewise {

struct Wire {
  double latency = 50e-6;     // seconds from one rank to another
  double bandwidth = 1.25e9;  // bytes a second, into and out of a rank
  double overhead = 1e-6;     // seconds that a message takes a processor
};

struct RankStep {
  double compute = 0, wire = 0;  // seconds
  double bytes = 0;              // that all ranks send
  Index memory = 0;              // of a rank, beside data: its step and what lasts, as planned
  double seconds() const { return compute + wire; }
};

// A step by so many ranks.
struct ScalePoint {
  Index ranks = 1;
  RankStep examples, tangents, both;  // divided, along K tangents of weights
  RankStep backprop;                  // examples divided, and an allreduce of the gradient; all 0 where it is left out
};

// As scale's and audit's documents have it.
nlohmann::ordered_json to_json(const RankStep& step);

// What ranks find goes to rank 0, and what that makes of it down a tree (children_of), as MpiTeam has it: one latency
// up, one for each level down. Rank 0 takes each message by itself, and its own line carries all of them; every rank
// sends the same to each below it, one after the other.
RankStep through_rank_zero(Index ranks, const StepTraffic& traffic, const Wire& wire);

// An allreduce of n float32 numbers by recursive halving and doubling (Thakur, Rabenseifner, Gropp 2005), which has the
// least latencies and bytes of the usual ones: 2 ⌈log₂ R⌉ messages and 2 (R − 1)/R · 4 n bytes a rank.
RankStep allreduce(Index ranks, Index n, const Wire& wire);

// For each number of ranks. A rank's share is timed by running it: that of the rank with the most pieces, with all that
// it draws and updates; ranks beyond the examples or tangents have none, and wait. `budget`: seconds of measuring, all
// in all, or what the least number of rounds takes. `told`: the share of it that is done. `backprop`: whether it is
// timed too. Throws ArgumentError unless steps are along tangents of weights alone.
std::vector<ScalePoint> predict_scale(const TrainSettings& settings, const DataSplit& data, const Network& network,
                                      std::span<const Index> ranks, const Wire& wire, bool backprop, double budget,
                                      const std::function<void(double share)>& told);

}  // namespace slopewise
