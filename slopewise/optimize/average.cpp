#include "slopewise/optimize/average.hpp"

#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/optimize/pieces.hpp"

namespace slopewise {

template <class T>
WeightAverage<T>::WeightAverage(Index size, double decay)
    : decay_(decay), state_{{"average", std::vector<double>(static_cast<std::size_t>(size))}} {
  if (!(decay >= 0 && decay <= 1))
    throw ArgumentError(fmt::format("weight average: decay: expected a number from 0 to 1, found {}", decay));
}

template <class T>
void WeightAverage<T>::require_size(Index found) const {
  if (found != size()) throw ShapeError(fmt::format("weight average: expected {} parameters, found {}", size(), found));
}

template <class T>
void WeightAverage<T>::watch(const Parameters<T>& theta) {
  require_size(theta.size());
  const auto t = static_cast<double>(++steps_);
  // (1 − β)/(1 − βᵗ), without cancellation.
  const double weight = decay_ < 1 ? (1 - decay_) / -std::expm1(t * std::log(decay_)) : 1 / t;
  const T* from = theta.values().data();
  double* average = state_[0].values.data();
  detail::for_pieces(size(), [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) average[i] += weight * (static_cast<double>(from[i]) - average[i]);
  });
}

template <class T>
void WeightAverage<T>::write(Parameters<T>& theta) const {
  require_size(theta.size());
  if (steps_ == 0) throw ArgumentError("weight average: expected to have watched a step, found none");
  T* to = theta.edit().data();
  const double* average = state_[0].values.data();
  detail::for_pieces(size(), [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) to[i] = static_cast<T>(average[i]);
  });
}

template <class T>
void WeightAverage<T>::restore(const StateView<double>& state) {
  detail::copy_state("weight average", state, state_);
  steps_ = state.steps;
}

template class WeightAverage<float>;
template class WeightAverage<double>;

}  // namespace slopewise
