// Everything that decides a training run, but for its data.
#pragma once

#include <string>

#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/chain.hpp"
#include "slopewise/objective/pieces.hpp"
#include "slopewise/optimize/optimizer.hpp"
#include "slopewise/optimize/schedule.hpp"

namespace slopewise {

// How gradients are made, in every block of the chain alike.
struct MethodSettings {
  std::string estimator = "activities";              // by name (estimator.hpp)
  EstimatorOptions options = {.law = "rademacher"};  // its seed is set from the run's, and its head as below
  // The last layer's gradient is exact where the estimator can have that: not by differences, nor without hidden
  // layers.
  bool exact_head = true;
  bool checkpointed = false;  // of "exact": keep the activations of about √(layers) layers
  Index micro_batch =
      0;  // of "exact": examples in flight at a time, whose gradients are added up; 0: as many as run well
  Precision precision = Precision::kFloat32;  // of a step; what is evaluated are the weights, in float
};

// The options of a method's estimator in a block: the head is exact where the method can have it so.
EstimatorOptions estimator_options(const MethodSettings& method, const ChainBlock& block, std::uint64_t seed);

struct TrainSettings {
  NetworkSpec network;
  MethodSettings method;
  std::string optimizer = "adam";
  OptimizerOptions optimizer_options;
  std::string schedule = "cosine";
  double rate = 1e-3;  // largest; what an automatic rate is multiplied by
  // The rate follows from slopes and curvature along the steps themselves, of each block (StepRate), whatever they are
  // made of; MethodSettings has another one, of steps along tangents alone.
  bool step_rate = false;
  double final_rate = 0;
  double warm_up = 0;  // epochs
  double average = 0;  // decay of the weights' average, which is what is evaluated; 0: none
  Index batch = 128;
  Index epochs = 15;
  Index most_steps = 0;  // end after so many steps at the latest; 0: with the last epoch
  Index validation = 0;  // the last so many training images are held out and take the test set's place
  // A step is made in so many pieces of its examples, tangents or both (objective/pieces.hpp), which ranks may share;
  // 0: as a whole. Bits depend on the pieces, and not on the ranks.
  Index pieces = 0;
  Divide divide = Divide::kExamples;
  Index tangent_parts = 2;  // of both: what the tangents are cut into
  std::uint64_t seed = 1;
};

// Throws ArgumentError, naming the option, for what does not fit.
void check(const TrainSettings& settings);

}  // namespace slopewise
