// Runs a program: loss, per-example losses, K slopes, or the exact gradient.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "slopewise/program/program.hpp"
#include "slopewise/tensor/parameters.hpp"

namespace slopewise {

// The examples of one run: for each input of the program, in order, its rows one after another.
template <class T>
struct Batch {
  using Input = std::variant<std::span<const T>, std::span<const std::int32_t>>;
  Index rows = 0;
  std::vector<Input> inputs;
};

// Tangents that enter at nodes. Writes the K tangents (K, size) of one example at the i-th perturbed node of the
// workload, whose value for the example is `value`; called from several threads, so it must be a pure function of its
// arguments.
template <class T>
using Perturbation = std::function<void(std::size_t i, Index example, std::span<const T> value, std::span<T> out)>;

// What one who gives cotangents sees and fills, for examples [first, first + rows) of the batch. A cotangent is the
// derivative of the batch's mean loss, so that of one example carries the factor 1/B.
template <class T>
struct GivenView {
  struct Cut {
    std::span<const T> value;  // (rows, size) of the node
    std::span<T> cotangent;    // (rows, size), to be filled; empty where nothing before the node needs it
  };
  Index first = 0;
  Index rows = 0;
  Index batch = 0;                         // B
  std::vector<Cut> cuts;                   // in the order of Workload::cuts
  std::span<T> error;                      // (rows, size): the cotangent of Workload::error, which may be changed
  std::vector<std::span<const T>> slopes;  // K of (rows): the examples' slopes
};
// Fills the cotangents of a view; called once for each thousand examples or so, in their order, on the calling thread.
template <class T>
using Giver = std::function<void(const GivenView<T>&)>;

template <class T>
struct RunResult {
  double loss = 0;                    // mean over the examples
  std::vector<double> slopes;         // K: d loss / dε along each tangent
  std::vector<double> curvatures;     // K: vᵀHv, empty unless the order is 2
  std::span<const T> losses;          // (B): per example; valid until the next run
  std::span<const T> example_slopes;  // (K, B), likewise
};

// A program bound to a workload; its memory is taken once, when it is made. The program must outlive it. One runner
// serves one thread of callers.
template <class T>
class Runner {
 public:
  Runner(const Program& program, const Workload& workload);
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
  // Loss, slopes and the gradient (n entries, overwritten) that follows from the cotangents that `giver` fills in at
  // the workload's cuts; 0 for parameters with tangents. The workload's mode must be kGiven. Throws as run and gradient
  // do.
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
  void require_room(std::string_view what, std::size_t entries) const;
  std::unique_ptr<State> state_;
};

}  // namespace slopewise
