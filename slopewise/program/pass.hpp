// Passes: a program, what is asked of it, and the memory for that, which is taken at the first run and grows with the
// batch; what they calculate in may be shared by passes that do not run at the same time. Outside this room nobody
// states a workload: what a pass says it needs is what it runs.
//
//   ForwardPass<float> pass(program, {.tangents = 8, .forms = probe->forms()});
//   const RunResult<float> found = pass.run(theta, batch, &tangents);
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "slopewise/program/runner.hpp"

namespace slopewise {

// Loss and, where there are tangents, K slopes.
struct ForwardOptions {
  Index tangents = 0;                   // K
  int order = 1;                        // 2: also the second-order terms vᵀHv
  std::vector<TangentForm> forms = {};  // of each segment's tangents; empty: dense where there are tangents
  std::vector<Index> perturbed = {};    // nodes at which tangents enter for each example
  std::vector<Index> outputs = {};      // nodes whose values are wanted beside the loss
  Precision precision = Precision::kFloat32;
  bool operator==(const ForwardOptions&) const = default;
};

// Loss and exact gradient.
struct ExactOptions {
  std::vector<Index> outputs = {};
  Precision precision = Precision::kFloat32;
  bool few_rows = false;      // as many in flight as in a forward pass
  bool checkpointed = false;  // keep the activations of about √(ops) ops and make the rest again
  Index micro_batch = 0;      // examples in flight at a time, whose gradients are added up; 0: as many as run well
  bool operator==(const ExactOptions&) const = default;
};

namespace detail {

template <class T>
class PassOf {
 public:
  const Program& program() const { return program_; }
  // What a run on so many examples needs and costs, as it is planned. `threads`: 0 is thread_count().
  MemoryReport memory(Index batch, int threads = 0) const;
  CostReport cost(Index batch) const;
  // Values (B, size) of the i-th output in the last run, valid until the next.
  std::span<const T> output(std::size_t i) const { return runner_->output(i); }
  // Its size for one example.
  Index output_size(std::size_t i) const { return program_.node(workload_.outputs[i]).shape.size(); }
  // Runner::compact for the products of this pass.
  void compact(Parameters<T>& parameters);

 protected:
  // The program must outlive the pass. `workload` is checked at the first run.
  PassOf(const Program& program, Workload workload, std::shared_ptr<Workspace> workspace)
      : program_(program), workload_(std::move(workload)), workspace_(std::move(workspace)) {}
  const Workload& workload() const { return workload_; }
  // With memory for so many examples.
  Runner<T>& runner(Index rows);

 private:
  const Program& program_;
  Workload workload_;
  std::shared_ptr<Workspace> workspace_;  // null: the runner's own
  std::optional<Runner<T>> runner_;
};

}  // namespace detail

// All throw what Runner's functions of the same names throw, and ArgumentError for options that do not fit the program.
template <class T>
class ForwardPass : public detail::PassOf<T> {
 public:
  explicit ForwardPass(const Program& program, ForwardOptions options = {},
                       std::shared_ptr<Workspace> workspace = nullptr);
  RunResult<T> run(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents = nullptr,
                   const Perturbation<T>& perturbation = {}) {
    return this->runner(batch.rows).run(parameters, batch, tangents, perturbation);
  }
};

template <class T>
class ExactPass : public detail::PassOf<T> {
 public:
  explicit ExactPass(const Program& program, ExactOptions options = {}, std::shared_ptr<Workspace> workspace = nullptr);
  // Writes ∇ to `out` (n).
  RunResult<T> gradient(const Parameters<T>& parameters, const Batch<T>& batch, std::span<T> out) {
    return this->runner(batch.rows).gradient(parameters, batch, out);
  }
};

template <class T>
class DescentPass : public detail::PassOf<T> {
 public:
  explicit DescentPass(const Program& program, ExactOptions options = {},
                       std::shared_ptr<Workspace> workspace = nullptr);
  // θ −= rate ∇, each parameter's part as soon as it is known.
  RunResult<T> descend(Parameters<T>& parameters, const Batch<T>& batch, double rate) {
    return this->runner(batch.rows).descend(parameters, batch, rate);
  }
};

template <class T>
class GivenPass : public detail::PassOf<T> {
 public:
  GivenPass(const Program& program, GivenOptions options, std::shared_ptr<Workspace> workspace = nullptr);
  RunResult<T> given(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents,
                     const Perturbation<T>& perturbation, const Giver<T>& giver, std::span<T> out) {
    return this->runner(batch.rows).given(parameters, batch, tangents, perturbation, giver, out);
  }
};

}  // namespace slopewise
