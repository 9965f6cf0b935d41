#include "slopewise/program/pullback.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include "slopewise/base/threads.hpp"
#include "slopewise/program/infinite.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Rows of one piece of a visit of `rows` rows; pieces run in parallel, and a small batch still feeds two threads.
Index piece_rows_of(Index rows) {
  return std::min<Index>(64, (rows + 15) / 16 * 8);
}

}  // namespace

template <class T>
Pullback<T>::Pullback(Execution<T>& execution) : execution_(execution), given_at_(execution.plan().workload.error) {
  if (execution.plan().workload.ahead >= 0) {
    given_at_ = -1;
    return;
  }
  for (const Index cut : execution.plan().workload.cuts) {
    if (execution.plan(cut).cut) given_at_ = std::max(given_at_, cut);
  }
}

template <class T>
RunResult<T> Pullback<T>::gradient(T* gradient, const Giver<T>& giver) {
  gradient_ = gradient;
  updated_ = nullptr;
  giver_ = &giver;
  for (Index i = 0; i < execution_.count(); ++i) {
    const GraphNode& node = execution_.node(i);
    if (node.kind != GraphNode::Kind::kParameter || execution_.plan(i).differentiated) continue;
    const Segment& segment = execution_.program().layout().segments[node.slot];
    const Index at = segment.offset - execution_.plan().workload.gradient_first;
    if (at >= 0) std::fill_n(gradient + at, segment.size(), T{0});
  }
  run(T{1});
  RunResult<T> result = execution_.finish();
  execution_.require_finite_segments(gradient, execution_.plan().workload.gradient_first,
                                     "the gradient of parameter '{}' is not finite although the loss is");
  return result;
}

// The cotangent of the loss is −rate instead of 1, so every cotangent is that multiple, and parameters take theirs by
// addition.
template <class T>
RunResult<T> Pullback<T>::descend(Parameters<T>& parameters, double rate) {
  gradient_ = execution_.held();
  updated_ = &parameters;
  run(static_cast<T>(-rate));
  for (Index i = 0; i < execution_.count(); ++i) {
    const NodePlan& own = execution_.plan(i);
    if (execution_.node(i).kind != GraphNode::Kind::kParameter || !own.differentiated || own.updated) continue;
    const Segment& segment = execution_.program().layout().segments[execution_.node(i).slot];
    axpy(T{1}, execution_.held() + own.cotangent_offset, parameters.edit(segment.offset, segment.size()).data(),
         segment.size());
  }
  return execution_.finish();
}

template <class T>
void Pullback<T>::run(T seed) {
  written_.assign(static_cast<std::size_t>(execution_.count()), false);
  execution_.replaying = false;
  execution_.run_shared();
  for (Index tile = 0; tile < execution_.tiles(); ++tile) pull_tile(tile, seed);
  pull_shared(seed);
}

template <class T>
template <class F>
void Pullback<T>::each_piece(Index rows, F body) {
  const Index size = piece_rows_of(rows);
  parallel_for((rows + size - 1) / size, [&](Index piece) { body(piece * size, std::min(size, rows - piece * size)); });
}

// Forward through one tile keeping what the plan keeps, then back, group by group. Pieces of rows run in parallel, of
// ops that do not cut their visits themselves; the cotangents of parameters, sums over rows, are made by ops that cut
// them by columns.
template <class T>
void Pullback<T>::pull_tile(Index tile, T seed) {
  Execution<T>& run = execution_;
  const Plan& plan = run.plan();
  const Index first = tile * plan.tile;
  const Index rows = run.tile_rows(tile);
  run.replaying = false;
  run.visit_tile(tile, run.arena(), run.scratch(), [](Index) {});
  run.collect(first, rows, run.arena());
  run.require_finite_losses(first, rows);
  const Index loss = run.program().loss();
  if (run.plan(loss).differentiated && !run.node(loss).shared) {
    std::fill_n(cotangent(loss).data, rows, seed / static_cast<T>(run.rows()));
  }
  if (plan.workload.ahead >= 0) return pull_stream(first, rows);
  run.replaying = true;
  for (std::size_t g = plan.groups.size() - 1; g-- > 0;) {
    make_again(g, first, rows);
    pull_group(g, first, rows, {});
  }
}

template <class T>
void Pullback<T>::make_again(std::size_t group, Index first, Index rows) {
  Execution<T>& run = execution_;
  for (Index i = run.plan().groups[group]; i < run.plan().groups[group + 1]; ++i) {
    if (run.plan(i).replayed && !run.plan(i).follows) run.make(i, first, rows, run.arena(), run.scratch());
  }
}

// What follows `error` goes back first, from what the way forward has made. Then each stretch, in order, takes back
// what comes to its end of the cotangent of `error`.
template <class T>
void Pullback<T>::pull_stream(Index first, Index rows) {
  Execution<T>& run = execution_;
  const Workload& workload = run.plan().workload;
  const std::size_t stretches = workload.cuts.size() + 1;
  const auto end_of = [&](std::size_t g) { return g < workload.cuts.size() ? workload.cuts[g] : workload.error; };
  pull_group(stretches, first, rows, {.below = workload.error, .closed = true});
  run.replaying = true;
  for (std::size_t g = 0, made = 0; g < stretches; ++g) {
    const std::size_t top = std::min(stretches - 1, g + static_cast<std::size_t>(workload.ahead));
    for (; made <= top; ++made) make_again(made, first, rows);
    if (end_of(top) != workload.error && run.plan(end_of(top)).differentiated) {
      std::copy_n(cotangent(workload.error).data, rows * run.plan(workload.error).size, cotangent(end_of(top)).data);
    }
    for (std::size_t h = top; h > g; --h)
      pull_group(h, first, rows, {.below = end_of(h - 1), .closed = true, .parameters = false});
    pull_group(g, first, rows, {.closed = true});
  }
}

// Whether the visit of op i now under way gives input k its cotangent.
template <class T>
bool Pullback<T>::takes(Index i, std::size_t k) const {
  if (!execution_.gets_cotangent(i, k)) return false;
  const Index input = execution_.node(i).inputs[k];
  if (execution_.node(input).shared) return reach_.parameters;
  return !reach_.closed || input >= group_first_ || input == reach_.below;
}

template <class T>
void Pullback<T>::pull_group(std::size_t group, Index first, Index rows, const Reach& reach) {
  Execution<T>& run = execution_;
  reach_ = reach;
  group_first_ = run.plan().groups[group];
  for (Index i = run.plan().groups[group + 1] - 1; i >= group_first_; --i) {
    if (i == given_at_) give(first, rows);
    if (!run.plan(i).used || !run.plan(i).differentiated || !run.node(i).op || run.node(i).shared) continue;
    bool through_rows = false;
    bool through_shared = false;
    for (std::size_t k = 0; k < run.node(i).inputs.size(); ++k) {
      (run.node(run.node(i).inputs[k]).shared ? through_shared : through_rows) |= takes(i, k);
    }
    if (through_rows && run.node(i).op->traits().cuts_itself) {
      visit(i, first, rows, 0, rows, false, run.scratch());
    } else if (through_rows) {
      each_piece(rows, [&](Index begin, Index count) { visit(i, first, rows, begin, count, false, run.scratch()); });
    }
    if (through_shared) visit(i, first, rows, 0, rows, true, run.scratch());
    mark_written(i);
    written_[i] = false;  // the next tile starts its cotangent anew
  }
}

// The inputs of node i hold what it gave them.
template <class T>
void Pullback<T>::mark_written(Index i) {
  const std::vector<Index>& inputs = execution_.node(i).inputs;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (takes(i, k)) written_[inputs[k]] = true;
  }
}

// Has the cotangents of the cuts filled, for the rows of one tile.
template <class T>
void Pullback<T>::give(Index first, Index rows) {
  Execution<T>& run = execution_;
  const Workload& workload = run.plan().workload;
  const auto entries = [&](Index i) { return static_cast<std::size_t>(rows * run.plan(i).size); };
  GivenView<T> view{.first = first, .rows = rows, .batch = run.rows()};
  T* spare = execution_.spare();
  for (const Index cut : workload.cuts) {
    view.cuts.push_back({.value = {run.jet(cut, first, rows, run.arena()).value, entries(cut)}});
    if (run.plan(cut).cut) view.cuts.back().cotangent = {cotangent(cut).data, entries(cut)};
    if (!workload.spare) continue;
    view.cuts.back().spare = {spare, entries(cut)};
    spare += entries(cut);
  }
  if (workload.error >= 0 && run.plan(workload.error).differentiated)
    view.error = {cotangent(workload.error).data, entries(workload.error)};
  for (Index k = 0; k < workload.tangents; ++k) view.slopes.push_back(run.slopes(k, first, rows));
  (*giver_)(view);
}

// Where the cotangent of node i is collected.
template <class T>
Cotangent<T> Pullback<T>::cotangent(Index i) {
  Execution<T>& run = execution_;
  const NodePlan& own = run.plan(i);
  const bool accumulate = written_[i];
  if (run.node(i).kind != GraphNode::Kind::kParameter) {
    return {.data = (run.node(i).shared ? run.shared() : run.arena()) + own.cotangent_offset, .accumulate = accumulate};
  }
  if (!own.updated) return {.data = gradient_ + own.cotangent_offset, .accumulate = accumulate};
  const Segment& segment = run.program().layout().segments[run.node(i).slot];
  if constexpr (std::is_same_v<T, float>) {
    if (own.packed) {
      const Block& block = run.program().layout().blocks[segment.block];
      return {.accumulate = true, .packed = updated_->edit_packed(segment.offset, block.rows, block.columns)};
    }
  }
  return {.data = updated_->edit(segment.offset, segment.size()).data(), .accumulate = true};
}

template <class T>
void Pullback<T>::visit(Index i, Index first, Index rows, Index begin, Index piece_rows, bool shared_inputs,
                        T* scratch) {
  Execution<T>& run = execution_;
  const GraphNode& what = run.node(i);
  const auto piece = [&](Index which) {
    const Jet<T> whole = run.jet(which, first, rows, run.arena());
    return run.node(which).shared || piece_rows == rows ? whole : whole.rows_from(begin, piece_rows);
  };
  std::array<Jet<T>, kMostInputs> in;
  std::array<Cotangent<T>, kMostInputs> targets;
  for (std::size_t k = 0; k < what.inputs.size(); ++k) {
    const Index input = what.inputs[k];
    in[k] = piece(input);
    if (!takes(i, k) || run.node(input).shared != shared_inputs) continue;
    targets[k] = cotangent(input);
    if (!run.node(input).shared) targets[k].data += begin * run.plan(input).size;
    // An input that comes twice gets both contributions.
    for (std::size_t before = 0; before < k; ++before) {
      targets[k].accumulate = targets[k].accumulate || (targets[before] && what.inputs[before] == input);
    }
  }
  pull_past_zeros(*what.op, Pull<T>{.in = {in.data(), what.inputs.size()},
                                    .out = piece(i),
                                    .cotangent = cotangent(i).data + (what.shared ? 0 : begin * run.plan(i).size),
                                    .in_cotangents = {targets.data(), what.inputs.size()},
                                    .scratch = scratch});
}

// Back through what depends on parameters alone, after all tiles.
template <class T>
void Pullback<T>::pull_shared(T seed) {
  Execution<T>& run = execution_;
  reach_ = {};
  if (run.node(run.program().loss()).shared) *cotangent(run.program().loss()).data = seed;
  for (Index i = run.count() - 1; i >= 0; --i) {
    if (!run.plan(i).used || !run.plan(i).differentiated || !run.node(i).op || !run.node(i).shared) continue;
    visit(i, 0, 1, 0, 1, true, run.scratch());
    mark_written(i);
  }
}

template class Pullback<float>;
template class Pullback<double>;

}  // namespace slopewise
