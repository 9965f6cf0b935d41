// A program bound to a batch of examples.
#pragma once

#include <memory>

#include "slopewise/objective/objective.hpp"
#include "slopewise/program/pass.hpp"

namespace slopewise {

struct ObjectiveOptions {
  Precision precision = Precision::kFloat32;
  bool checkpointed = false;  // exact gradients keep the activations of about √(ops) ops and make the rest again
  Index micro_batch = 0;      // and have so many examples in flight at a time; 0: as many as run well
  Index output = -1;          // the node that output() has the values of; −1: none
  // What its passes calculate in, one after the other; null: one of its own. Objectives that share one must not be
  // asked at the same time.
  std::shared_ptr<Workspace> workspace = nullptr;
};

template <class T>
class ProgramObjective final : public Objective<T> {
 public:
  // The program and the numbers that `batch` points to must outlive the objective.
  ProgramObjective(const Program& program, Batch<T> batch, ObjectiveOptions options = {});

  const ParameterLayout& layout() const override { return program_.layout(); }
  double loss(const Parameters<T>& parameters) override;
  Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  Slopes curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  double gradient(const Parameters<T>& parameters, std::span<T> out) override;
  // The output node and the precision are the objective's.
  RunResult<T> given(const GivenOptions& options, const Parameters<T>& parameters, const Tangents<T>* tangents,
                     const Perturbation<T>& perturbation, const Giver<T>& giver, std::span<T> out,
                     const GivenSums<T>& sums = {}) override;
  Index examples() const override { return batch_.rows; }
  std::vector<std::vector<T>> values(const Parameters<T>& parameters, std::span<const Index> nodes,
                                     std::span<const Index> rows) override;
  std::span<const T> output() const override;
  bool is_read() const override { return options_.output >= 0; }

  // For the batch that is bound, of which only the number of rows counts.
  Demand loss_demand() const override;
  Demand slopes_demand(std::span<const TangentForm> forms, Index tangents, int order = 1) const override;
  Demand gradient_demand() const override;
  Demand given_demand(const GivenOptions& options) const override;
  Demand values_demand(std::span<const Index> nodes, Index rows) const override;

  // A step of gradient descent in place, θ −= rate ∇, as DescentPass makes it; returns the loss before it.
  double descend(Parameters<T>& parameters, double rate);

  // Keeps θ in memory once: PassOf::compact for the products of the pass that ran last.
  void compact(Parameters<T>& parameters) {
    if (last_) last_->compact(parameters);
  }

  // The same for another batch, with passes of its own in the same workspace.
  ProgramObjective for_batch(Batch<T> batch) const { return {program_, std::move(batch), options_}; }
  // Other examples for the same program.
  void bind(Batch<T> batch);
  const Program& program() const { return program_; }

 private:
  // A pass and what was asked of it.
  template <class Pass, class Options>
  struct Asked {
    Options options;
    std::unique_ptr<Pass> pass;
  };
  std::vector<Index> outputs() const;
  static ForwardOptions values_options(std::span<const Index> nodes);
  ForwardOptions forward_options(std::span<const TangentForm> forms, Index tangents, int order) const;
  ExactOptions exact_options() const;
  GivenOptions given_options(GivenOptions options) const;
  // The pass of these options, made at its first use.
  template <class Pass, class Options>
  Pass& pass(std::vector<Asked<Pass, Options>>& made, Options options);
  Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents, int order);

  const Program& program_;
  Batch<T> batch_;
  ObjectiveOptions options_;
  std::vector<Asked<ForwardPass<T>, ForwardOptions>> forward_;
  std::vector<Asked<ExactPass<T>, ExactOptions>> exact_;
  std::vector<Asked<DescentPass<T>, ExactOptions>> descent_;
  std::vector<Asked<GivenPass<T>, GivenOptions>> given_;
  detail::PassOf<T>* last_ = nullptr;  // the one that ran last
};

}  // namespace slopewise
