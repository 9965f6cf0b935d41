// Averages of θ over steps, for evaluation: they shed the noise that a rate above 0 keeps in θ.
#pragma once

#include <utility>
#include <vector>

#include "slopewise/tensor/parameters.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

// With decay β below 1 the exponential moving average Σ_t β^(T−t) θ_t / Σ_t β^(T−t), its bias towards the start
// corrected; with β = 1 the mean of all θ_t (Polyak & Juditsky 1992). Both follow ā += w_t (θ_t − ā), w_t = (1 − β)/(1
// − βᵗ), which is 1/t at β = 1. Held in double: in float the increments of a slow average are rounded away.
template <class T>
class WeightAverage {
 public:
  // Throws ArgumentError unless 0 ≤ decay ≤ 1.
  WeightAverage(Index size, double decay);
  Index size() const { return static_cast<Index>(state_[0].values.size()); }
  // How many θ_t it has seen.
  Index steps() const { return steps_; }
  // Takes in θ after a step. Throws ShapeError for another size.
  void watch(const Parameters<T>& theta);
  // Writes ā to θ. Throws ShapeError for another size, ArgumentError before the first watch.
  void write(Parameters<T>& theta) const;

  // The steps seen, and "average".
  StateView<double> state() const { return detail::view_of(steps_, state_); }
  // Throws as Optimizer::restore does.
  void restore(const StateView<double>& state);

 private:
  void require_size(Index found) const;

  double decay_;
  Index steps_ = 0;
  std::vector<NamedVector<double>> state_;
};

// θ is the average for as long as this lives, and then, bit for bit, what it was.
template <class T>
class AverageScope {
 public:
  AverageScope(const WeightAverage<T>& average, Parameters<T>& theta) : theta_(theta), before_(theta) {
    average.write(theta);
  }
  ~AverageScope() { theta_ = before_; }
  AverageScope(const AverageScope&) = delete;
  AverageScope& operator=(const AverageScope&) = delete;

 private:
  Parameters<T>& theta_;
  Parameters<T> before_;
};

}  // namespace slopewise
