// Optimizers that act on each entry of a dense gradient.
#pragma once

#include "slopewise/optimize/optimizer.hpp"

namespace slopewise {

template <class T>
class EntrywiseOptimizer : public Optimizer<T> {
 protected:
  EntrywiseOptimizer(Index size, const OptimizerOptions& options, std::initializer_list<std::string_view> memory)
      : Optimizer<T>(size, options, memory) {}

 public:
  bool flattens() const final { return reads_parameters(); }
  Index step_bytes() const final { return this->size() * static_cast<Index>(sizeof(T)); }

 private:
  void advance(Parameters<T>& theta, const Gradient& gradient, double rate) final;
  // What θ is multiplied by before the step.
  virtual T shrink(double /*rate*/) const { return 1; }
  // Whether update() reads θ, which then is written out as a flat vector.
  virtual bool reads_parameters() const = 0;
  // Step number steps() + 1 of entries [first, first + count): writes what is added to θ there to `step`, by the
  // gradient there times `clip`. `theta`: θ there; null unless it is read.
  virtual void update(Index first, Index count, const T* theta, const T* gradient, T clip, double rate, T* step) = 0;

  std::vector<T> gradient_;  // of gradients that are not written out
};

}  // namespace slopewise
