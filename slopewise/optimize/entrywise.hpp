// Optimizers that act on each entry of a dense gradient.
#pragma once

#include <optional>
#include <utility>

#include "slopewise/optimize/optimizer.hpp"

namespace slopewise {

template <class T>
class EntrywiseOptimizer : public Optimizer<T> {
 protected:
  EntrywiseOptimizer(Index size, const OptimizerOptions& options, std::initializer_list<std::string_view> memory)
      : Optimizer<T>(size, options, memory) {}

 public:
  // Where λθ is added to the gradient.
  bool flattens() const override { return this->options().weight_decay > 0; }
  Index step_bytes() const final { return this->size() * static_cast<Index>(sizeof(T)); }
  Index direction_bytes() const final { return this->size() * static_cast<Index>(sizeof(T)); }

 private:
  void advance(Parameters<T>& theta, const Gradient& gradient, double rate) final;
  void advance(Parameters<T>& theta, const Gradient& gradient, const RateOf& rate_of) final;
  // The gradient's entries and the factor that clips them.
  std::pair<std::span<const T>, T> clipped(const Gradient& gradient);
  void write_step(const T* g, T clip, const T* theta, double rate, Index first, Index count, T* step);
  // What θ is multiplied by before the step.
  virtual T shrink(double /*rate*/) const { return 1; }
  // Step number steps() + 1 of entries [first, first + count): takes the gradient there, clipped and with λθ, from
  // `step` and writes what is added to θ in its place.
  virtual void update(Index first, Index count, double rate, T* step) = 0;

  std::vector<T> gradient_;               // of gradients that are not written out
  std::optional<DenseGradient<T>> step_;  // of rate 1, of steps whose rate follows from their direction
};

}  // namespace slopewise
