// Optimizers that act on each entry of a dense gradient.
#pragma once

#include "slopewise/optimize/optimizer.hpp"

namespace slopewise {

template <class T>
class EntrywiseOptimizer : public Optimizer<T> {
 protected:
  EntrywiseOptimizer(Index size, const OptimizerOptions& options, std::initializer_list<std::string_view> memory)
      : Optimizer<T>(size, options, memory) {}

 private:
  void advance(Parameters<T>& theta, const Gradient& gradient, double rate) final;
  // Step number steps() + 1 of entries [first, first + count): θ there, at `theta`, by the gradient there times `clip`.
  virtual void update(Index first, Index count, T* theta, const T* gradient, T clip, double rate) = 0;

  std::vector<T> gradient_;  // of gradients that are not written out
};

}  // namespace slopewise
