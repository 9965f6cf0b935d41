// The visits back: from the loss to the gradient, or to θ itself.
#pragma once

#include <vector>

#include "slopewise/program/execution.hpp"

namespace slopewise {

template <class T>
class Pullback {
 public:
  // Of an execution whose workload is exact.
  explicit Pullback(Execution<T>& execution);

  // Forward and back through what the execution is bound to. Writes ∇ to `gradient`, from Workload::gradient_first on.
  // `giver` fills the cotangents of cuts.
  RunResult<T> gradient(T* gradient, const Giver<T>& giver = {});
  // θ −= rate ∇; `parameters` are those the execution is bound to. θ is as it was where this throws.
  RunResult<T> descend(Parameters<T>& parameters, double rate);

 private:
  void run(T seed);
  void pull_tile(Index tile, T seed);
  void give(Index first, Index rows);
  void pull_group(Index first_node, Index last_node, Index first, Index rows);
  void pull_shared(T seed);
  void visit(Index i, Index first, Index rows, Index begin, Index piece_rows, bool shared_inputs, T* scratch);
  Cotangent<T> cotangent(Index i);
  void mark_written(Index i);
  template <class F>
  void each_piece(Index rows, F body);

  Execution<T>& execution_;
  Index given_at_;  // the node before whose visit cotangents are given; −1: none are
  const Giver<T>* giver_ = nullptr;
  Buffer<T> spare_;
  Buffer<T> held_;                    // a descent's cotangents of parameters that are not added to θ at once
  T* gradient_ = nullptr;             // where cotangents of parameters are written
  Parameters<T>* updated_ = nullptr;  // what they are added to
  std::vector<bool> written_;         // nodes whose cotangent holds something already
};

}  // namespace slopewise
