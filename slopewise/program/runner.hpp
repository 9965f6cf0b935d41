// Runs a program: loss, per-example losses, K slopes, or the exact gradient.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "slopewise/program/given.hpp"
#include "slopewise/program/program.hpp"
#include "slopewise/program/workspace.hpp"
#include "slopewise/tensor/parameters.hpp"

namespace slopewise {

// A program bound to a workload. What it calculates in is taken at the first run, from `workspace`, or from one of its
// own; runners that share one must not run at the same time. The program must outlive it. One runner serves one thread
// of callers.
template <class T>
class Runner {
 public:
  Runner(const Program& program, const Workload& workload, std::shared_ptr<Workspace> workspace = nullptr);
  ~Runner();
  Runner(Runner&&) noexcept;
  Runner& operator=(Runner&&) noexcept;

  const Program& program() const;
  const Workload& workload() const;

  // Loss and, where the workload has them, slopes and second-order terms at θ. The batch may be smaller than the
  // workload's. Throws ShapeError for a batch or θ that does not fit, NumericError, naming the op that first made it,
  // for a NaN or an infinity in the loss or a slope.
  RunResult<T> run(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents = nullptr,
                   const Perturbation<T>& perturbation = {});
  // Loss and exact gradient ∇ (n entries, overwritten). The workload's mode must be kPullback.
  RunResult<T> gradient(const Parameters<T>& parameters, const Batch<T>& batch, std::span<T> out);
  // Loss, slopes and the gradient that follows from the cotangents that `giver` fills in at the workload's cuts: `out`
  // takes the entries of θ from Workload::gradient_first on, 0 for parameters with tangents. The workload's mode must
  // be kGiven. Throws as run and gradient do.
  RunResult<T> given(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents,
                     const Perturbation<T>& perturbation, const Giver<T>& giver, std::span<T> out);
  // One step of gradient descent, θ −= rate ∇, each parameter's part as soon as it is known; the loss is that before
  // the step. The workload's mode must be kDescent. Throws as run does; θ is then as it was. A
  // gradient that is not finite although the loss is goes into θ; the next run then says so.
  RunResult<T> descend(Parameters<T>& parameters, const Batch<T>& batch, double rate);
  // Moves the matrices of θ that this program's products read packed into that form, one after the other, and gives the
  // memory of their flat entries back: before a long run, so that θ is in memory once. They are made again where
  // somebody asks for them.
  void compact(Parameters<T>& parameters) const;
  // Values (B, size) of the i-th output node of the workload in the last run.
  std::span<const T> output(std::size_t i) const;

 private:
  struct State;
  // The state, with memory for as many threads as there now are.
  State& state();
  void require_room(std::string_view what, std::size_t found, Index expected) const;
  std::unique_ptr<State> state_;
};

}  // namespace slopewise
