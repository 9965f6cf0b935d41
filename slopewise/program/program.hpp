// A differentiable computation: ops in order, shapes, liveness. Built once, run many times (runner.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

// What a run computes; what its memory and cost are asked for.
struct Workload {
  // Loss and K slopes; loss and exact gradient; loss and a step of gradient descent, the gradient added to θ layer by
  // layer and never held; loss, K slopes and the gradient that follows from cotangents given at `cuts`.
  enum class Mode { kForward, kPullback, kDescent, kGiven };
  Mode mode = Mode::kForward;
  Index batch = 1;     // examples
  Index tangents = 0;  // K; 0: the loss alone
  int order = 1;       // 2: also the K second-order terms vᵀHv
  // How each segment's tangents come; empty: all dense where there are tangents.
  std::vector<TangentForm> forms;
  // Nodes at which further tangents enter, one per example and k (perturbed activations).
  std::vector<Index> perturbed;
  // Nodes whose values are wanted beside the loss.
  std::vector<Index> outputs;
  // kGiven: the nodes whose cotangents are given instead of derived, so that nothing flows back from one to another.
  // Above the last of them, and wherever else no cut lies between, the gradient is exact. Parameters with tangents get
  // none: theirs comes from the slopes.
  std::vector<Index> cuts;
  // kGiven: a node after all cuts, whose exact cotangent the giver may read and change (the logits); −1: none.
  Index error = -1;
  // kGiven, where it is not negative: nobody gives. The cotangent of a cut is that of `error`, taken back through the
  // next `ahead` stretches from cut to cut (the last one ends at `error`), as if those above them added nothing to what
  // they read. The way forward keeps no more than the part after `error` needs; then each stretch is made again, from
  // the input up, and taken back by itself. Cuts are in order, and all as large as `error`. No tangents.
  Index ahead = -1;
  // kGiven: parameters before this entry of θ get no gradient.
  Index gradient_first = 0;
  // kGiven: the giver gets memory of the cuts' sizes to calculate in.
  bool spare = false;
  Precision precision = Precision::kFloat32;
  // Of a pullback: no more rows in flight than in a forward run, so that what is not differentiated takes no more
  // memory than there.
  bool few_rows = false;
  // For an exact gradient: keep the activations of about √(ops) ops and make the rest again when they are needed
  // (Chen et al. 2016, arXiv 1604.06174, section 4.1).
  bool checkpointed = false;
  // For an exact gradient: so many examples are in flight at a time, and their gradients are added up; 0: as many as
  // products run well with.
  Index micro_batch = 0;

  // Whether cotangents are made.
  bool backward() const { return mode != Mode::kForward; }
};

// Bytes a run needs beside the caller's θ and batch, for elements of `element_size` bytes.
struct MemoryReport {
  Index activations = 0;  // values, tangents and cotangents that live during the run, all threads together
  Index shared = 0;       // what is computed from parameters alone, kept for the whole run
  Index scratch = 0;      // the ops' own
  Index tangents = 0;     // the parameters' tangents as given: dense ones have K entries a parameter
  Index gradient = 0;     // the gradient, but for parameters whose own comes from slopes
  Index packed = 0;       // weights in the layout the products read
  Index results = 0;      // per-example losses, slopes, second-order terms and outputs

  // What may be in a workspace (workspace.hpp) that passes share.
  Index working() const { return activations + shared + scratch; }
  Index total() const { return working() + tangents + gradient + packed + results; }
};

// Work of one run.
struct CostReport {
  double value_flops = 0;     // recomputed ones counted again
  double tangent_flops = 0;   // of all K tangents
  double pullback_flops = 0;  // 0 for slopes
  double bytes = 0;           // read and written by the ops, caches ignored

  double flops() const { return value_flops + tangent_flops + pullback_flops; }
};

class Program {
 public:
  // Everything `loss` depends on. `loss` holds one number an example (shape () or (1)); the program's loss is their
  // mean. Throws ShapeError for another shape, ArgumentError if a parameter of the builder is not used.
  explicit Program(const Node& loss);

  const ParameterLayout& layout() const { return graph_->layout; }
  // n, the number of parameters.
  Index size() const { return graph_->layout.size; }
  const std::vector<GraphNode>& nodes() const { return graph_->nodes; }
  const GraphNode& node(Index number) const { return graph_->nodes[number]; }
  // Node numbers of the inputs, in the order declared: the order in which a batch gives them.
  const std::vector<Index>& inputs() const { return graph_->inputs; }
  Index loss() const { return loss_; }
  // Whether the loss, or what it is made of, depends on this node.
  bool used(Index number) const { return used_[number]; }

  // What a run would need, by the plan it would use; exact but for what libraries and
  // products keep for themselves: their code for each shape, and buffers of one visit for each thread.
  // `threads` is how many share the run; 0 is thread_count(). Throws std::bad_alloc for more than any memory holds.
  MemoryReport memory(const Workload& workload, Index element_size = sizeof(float), int threads = 0) const;
  CostReport cost(const Workload& workload, Index element_size = sizeof(float)) const;
  // One line a node: name, shape, inputs, parameters.
  std::string to_string() const;

 private:
  std::shared_ptr<const Graph> graph_;
  Index loss_;
  std::vector<bool> used_;
};

}  // namespace slopewise
