// One program at work on one batch: where each node's numbers are, and the visits forward. Runner (runner.hpp) is what
// callers see; the visits back are in pullback.hpp.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "slopewise/program/plan.hpp"
#include "slopewise/program/runner.hpp"

namespace slopewise {

template <class T>
class Execution {
 public:
  Execution(const Program& program, const Workload& workload, int threads, std::shared_ptr<Workspace> workspace);

  const Program& program() const { return program_; }
  const Plan& plan() const { return plan_; }
  const NodePlan& plan(Index i) const { return plan_.nodes[i]; }
  // Whether input k gives op i its tangents, and gets a cotangent from it.
  bool gives_tangents(Index i, std::size_t k) const { return plan_.infos[i][k].active; }
  bool gets_cotangent(Index i, std::size_t k) const { return plan_.pulled[i][k].active; }
  const GraphNode& node(Index i) const { return program_.node(i); }
  Index count() const { return static_cast<Index>(program_.nodes().size()); }
  int threads() const { return threads_; }

  // Takes what a run reads, and the memory for it; throws as check_run does, and std::bad_alloc. All of it must stay
  // until the run is over.
  void bind(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents,
            const Perturbation<T>& perturbation);
  Index rows() const { return rows_; }
  Index tiles() const { return (rows_ + plan_.tile - 1) / plan_.tile; }
  Index tile_rows(Index tile) const { return std::min(plan_.tile, rows_ - tile * plan_.tile); }

  // Makes everything that depends on parameters alone.
  void run_shared();
  // Forward through all tiles, collecting their results.
  void run_tiles();
  // Makes node i, an op's, for the rows of a tile: in one visit, or in visits that threads share.
  void make(Index i, Index first, Index rows, T* arena, T* scratch);
  // Makes node i for rows [begin, begin + rows) of the tile that starts at example `first` and has `tile_rows` rows.
  void push(Index i, Index first, Index tile_rows, Index begin, Index rows, T* arena, T* scratch) const;
  // Adds the perturbation that enters at node i, if one does, for the rows of a tile.
  void perturb(Index i, Index first, Index rows, T* arena) const;
  // Makes the nodes of one tile in order and calls after(node) for each.
  void visit_tile(Index tile, T* arena, T* scratch, const std::function<void(Index)>& after);
  // Copies what a tile leaves behind: losses, slopes, outputs.
  void collect(Index first, Index rows, T* arena);
  // The results of the run. Throws NumericError, naming what first made it, for a NaN or an infinity.
  RunResult<T> finish();
  // Throws as finish() does if the losses of these rows are not finite.
  void require_finite_losses(Index first, Index rows);
  // Throws NumericError with the name of the first segment of `values`, the entries of θ from `first` on, that holds a
  // NaN or an infinity.
  void require_finite_segments(const T* values, Index first, std::string_view message) const;
  std::span<const T> output(std::size_t i) const;
  // Slopes along tangent k of the examples of a tile, after collect().
  std::span<const T> slopes(Index k, Index first, Index rows) const {
    return {slopes_.data() + k * rows_ + first, static_cast<std::size_t>(rows)};
  }

  // The jet of node i over `rows` rows of a tile that starts at example `first`.
  Jet<T> jet(Index i, Index first, Index rows, T* arena) const;
  T* arena() { return arena_ + thread_index_of_tile() * plan_.arena; }
  T* shared() { return shared_; }
  // The calling thread's.
  T* scratch();
  // Of the size of the cuts in one tile; and a descent's cotangents of parameters that are not added to θ at once.
  T* spare() { return spare_; }
  T* held() { return held_; }

  // Whether nodes are read where they are made again instead of where they were made first.
  bool replaying = false;

 private:
  // A parameter as the ops of this run read it.
  struct Weights {
    T* flat = nullptr;
    const WeightProduct* packed = nullptr;
  };

  void bind_constant(Index i, Weights& weights) const;
  Index thread_index_of_tile() const;
  void run_tile(Index tile);
  [[noreturn]] void diagnose();
  void report_if_not_finite(Index i, Index first, Index rows, T* arena);
  const T* input(Index i) const { return std::get<std::span<const T>>(batch_->inputs[node(i).slot]).data(); }

  const Program& program_;
  int threads_;
  Plan plan_;
  std::shared_ptr<Workspace> workspace_;
  Buffer<T> losses_, slopes_, curvatures_;
  std::vector<Buffer<T>> outputs_;

  // Parts of the workspace during a run.
  T *arena_ = nullptr, *shared_ = nullptr, *scratch_ = nullptr, *spare_ = nullptr, *held_ = nullptr;

  // What the current run reads.
  Index rows_ = 0;
  const Parameters<T>* parameters_ = nullptr;
  const Batch<T>* batch_ = nullptr;
  const Tangents<T>* tangents_ = nullptr;
  const Perturbation<T>* perturbation_ = nullptr;
  std::vector<Weights> weights_;  // one a node; empty but for parameters and constants
  bool one_by_one_ = false;       // no op acts on the rows of another: each can be looked at on its own
};

}  // namespace slopewise
