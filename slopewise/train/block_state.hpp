// What a step changes, whoever makes it: training, or the replay of its log.
#pragma once

#include <memory>
#include <optional>

#include "slopewise/estimate/estimator.hpp"
#include "slopewise/optimize/average.hpp"
#include "slopewise/optimize/optimizer.hpp"

namespace slopewise {

struct BlockState {
  Parameters<float> theta;
  std::unique_ptr<Estimator<float>> estimator;
  std::unique_ptr<Optimizer<float>> optimizer;
  std::optional<WeightAverage<float>> average;

  // The first half of step `number`: the estimate, from which the estimator has then learned at this share of its full
  // pace. Throws what they throw.
  GradientEstimate estimate(Objective<float>& objective, Index number, double pace);
  // The second half: θ moves down the estimate. Throws what the optimizer throws.
  void move(const GradientEstimate& estimate, double rate);
  // The same at a rate that follows from the direction.
  void move(const GradientEstimate& estimate, const RateOf& rate_of);
};

}  // namespace slopewise
