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
  // What is taken back through a group: to which nodes below it, and whether to parameters.
  struct Reach {
    Index below = -1;     // the only node before the group that gets a cotangent; −1: none
    bool closed = false;  // nothing else before it does
    bool parameters = true;
  };
  void pull_group(std::size_t group, Index first, Index rows, const Reach& reach);
  void pull_stream(Index first, Index rows);
  void make_again(std::size_t group, Index first, Index rows);
  bool takes(Index i, std::size_t k) const;
  void pull_shared(T seed);
  void visit(Index i, Index first, Index rows, Index begin, Index piece_rows, bool shared_inputs, T* scratch);
  Cotangent<T> cotangent(Index i);
  void mark_written(Index i);
  template <class F>
  void each_piece(Index rows, F body);

  Execution<T>& execution_;
  Index given_at_;  // the node before whose visit cotangents are given; −1: none are
  Reach reach_;
  Index group_first_ = 0;
  const Giver<T>* giver_ = nullptr;
  T* gradient_ = nullptr;             // where cotangents of parameters are written
  Parameters<T>* updated_ = nullptr;  // what they are added to
  std::vector<bool> written_;         // nodes whose cotangent holds something already
};

}  // namespace slopewise
