#include "slopewise/train/block_state.hpp"

namespace slopewise {

GradientEstimate BlockState::estimate(Objective<float>& objective, Index number, double pace) {
  GradientEstimate found = estimator->estimate_in_place(objective, theta, static_cast<std::uint32_t>(number));
  estimator->learn(found, pace);
  return found;
}

void BlockState::move(const GradientEstimate& estimate, double rate) {
  optimizer->step(theta, estimate, rate);
  if (average) average->watch(theta);
}

void BlockState::move(const GradientEstimate& estimate, const RateOf& rate_of) {
  optimizer->step(theta, estimate, rate_of);
  if (average) average->watch(theta);
}

}  // namespace slopewise
