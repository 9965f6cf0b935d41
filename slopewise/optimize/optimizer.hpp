// Optimizers: from a gradient to a step on θ.
//
//   const auto optimizer = make_optimizer<float>("adam", theta.size(), {.clip_norm = 10});
//   const Schedule schedule("cosine", {.rate = 3e-3, .steps = 2000, .warm_up = 100});
//   …
//   optimizer->step(theta, estimator->estimate(objective, theta, step), schedule.rate(step));
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/tensor/gradient.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

struct OptimizerOptions {
  double momentum = 0.9;  // μ in [0, 1), of "momentum" and "nesterov"
  double beta1 = 0.9;     // in [0, 1), of "adam" and "adamw"
  double beta2 = 0.999;   // in [0, 1), of the same
  double epsilon = 1e-8;  // above 0, of the same
  double weight_decay = 0;  // λ ≥ 0: λθ is added to g (the L2 penalty λ‖θ‖²/2); "adamw" shrinks θ by 1 − ηλ instead
  double clip_norm = std::numeric_limits<double>::infinity();  // c > 0: g is scaled by norm_factor (clip.hpp) first
};

// Where a step leads, θ −= η d, before its rate η is known: d = factor × gradient.
struct StepDirection {
  const Gradient& gradient;
  double factor;
};
// The rate of a step whose direction is known; called once.
using RateOf = std::function<double(const StepDirection&)>;

template <class T>
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual std::string_view name() const = 0;
  Index size() const { return size_; }
  // Steps taken so far.
  Index steps() const { return steps_; }
  // Whether a step reads and writes θ as a flat vector; else packed matrices are changed as they are.
  virtual bool flattens() const { return false; }
  // Bytes that a step needs beside the state, where the gradient is not held as Ts already.
  virtual Index step_bytes() const { return 0; }

  // One step of learning rate η = `rate` down the gradient. Throws, before θ or the state is touched, ArgumentError for
  // a rate that is negative or not finite, ShapeError for sizes other than size(), and NumericError for a gradient with
  // an entry, or a norm where that is needed, that is NaN or infinite.
  void step(Parameters<T>& theta, const Gradient& gradient, double rate);
  // The same where the rate follows from the direction: θ is as it was while `rate_of` is called, and the direction
  // holds until it returns. What shrinks θ beside the gradient, the weight decay of "sgd" and "adamw", is no part of
  // it. Throws what `rate_of` throws, θ being as it was and the state of no use.
  void step(Parameters<T>& theta, const Gradient& gradient, const RateOf& rate_of);
  // Whether a step shrinks θ beside its direction.
  virtual bool shrinks() const { return false; }
  // Bytes that this takes more than a step at a rate that is known.
  virtual Index direction_bytes() const { return 0; }

  // The steps taken and what the method remembers: nothing, "velocity", or "first_moment" and "second_moment".
  StateView<T> state() const { return detail::view_of(steps_, memory_); }
  // Goes on where the optimizer that had this state was. Throws ArgumentError for a negative count or other names,
  // ShapeError for other sizes, and changes nothing then.
  void restore(const StateView<T>& state);

 protected:
  // `memory`: the names of the vectors the method keeps, zero at first. Throws ArgumentError for options out of range.
  Optimizer(Index size, const OptimizerOptions& options, std::initializer_list<std::string_view> memory);

  const OptimizerOptions& options() const { return options_; }
  T* memory(std::size_t vector) { return memory_[vector].values.data(); }
  // NumericError unless `finite`, in the name of method and step.
  void require_finite(bool finite) const;

 private:
  virtual void advance(Parameters<T>& theta, const Gradient& gradient, double rate) = 0;
  virtual void advance(Parameters<T>& theta, const Gradient& gradient, const RateOf& rate_of) = 0;
  void require_rate(double rate) const;
  void require_sizes(const Parameters<T>& theta, const Gradient& gradient) const;

  Index size_;
  OptimizerOptions options_;
  Index steps_ = 0;
  std::vector<NamedVector<T>> memory_;
};

// With g the gradient, after clipping and with λθ; η the rate; t = 1, 2, … the step:
// "sgd": θ −= ηg. g is never written out.
// "momentum": u = μu + g, θ −= ηu (Polyak 1964).
// "nesterov": u = μu + g, θ −= η(g + μu) (Nesterov 1983, in the form of Sutskever et al. 2013).
// "adam": m = β₁m + (1 − β₁)g, v = β₂v + (1 − β₂)g², θ −= η m̂ / (√v̂ + ε), with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)
// (Kingma & Ba 2015). "adamw": the same, with θ = (1 − ηλ)θ before it in place of λθ in g (Loshchilov & Hutter 2019).
// All but "sgd" write g, where it is implicit, to a buffer that serves every step. All change packed matrices as they
// are, but for those that add λθ to g and therefore need θ as a flat vector: "momentum", "nesterov" and "adam" with λ >
// 0.
const std::vector<std::string>& optimizer_names();
std::string_view optimizer_summary(std::string_view name);
// For a θ of `size` entries. Throws ArgumentError for an unknown name or options out of range.
template <class T>
std::unique_ptr<Optimizer<T>> make_optimizer(std::string_view name, Index size, const OptimizerOptions& options);

}  // namespace slopewise
