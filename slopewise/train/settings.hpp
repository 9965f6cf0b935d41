// Everything that decides a training run, but for its data.
#pragma once

#include <limits>
#include <string>

#include "slopewise/estimate/activity.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/chain.hpp"
#include "slopewise/optimize/optimizer.hpp"
#include "slopewise/optimize/schedule.hpp"

namespace slopewise {

// How gradients are made, in every block of the chain alike.
struct MethodSettings {
  // "exact": backprop, within each block. "weights": an estimator along tangents of the weights. "zeroth-order": the
  // same with slopes by differences of losses. "activities": activity perturbation.
  std::string name = "activities";
  ActivityOptions activity;                   // of "activities"; its seed is set from the run's
  double pace = 0.15;                         // γ of the prior, times the learning rate over the largest
  std::string estimator = "forward";          // of "weights"
  EstimatorOptions estimate;                  // of "weights" and "zeroth-order"; its seed likewise
  bool checkpointed = false;                  // of "exact": keep the activations of about √(layers) layers
  Precision precision = Precision::kFloat32;  // of a step; what is evaluated are the weights, in float
  double clip_slope = std::numeric_limits<double>::infinity();  // of "weights": largest |s_k|
  bool auto_rate = false;    // of "weights" by SGD: the learning rate from slopes and second-order terms (AutoRate)
  double clip_quantile = 1;  // of "weights": share of slopes that are not clipped; 1: all
};

struct TrainSettings {
  NetworkSpec network;
  MethodSettings method;
  std::string optimizer = "adam";
  OptimizerOptions optimizer_options;
  std::string schedule = "cosine";
  double rate = 1e-3;  // largest; what an automatic rate is multiplied by
  double final_rate = 0;
  double warm_up = 0;  // epochs
  double average = 0;  // decay of the weights' average, which is what is evaluated; 0: none
  Index batch = 128;
  Index epochs = 15;
  Index most_steps = 0;  // end after so many steps at the latest; 0: with the last epoch
  Index validation = 0;  // the last so many training images are held out and take the test set's place
  std::uint64_t seed = 1;
};

// Throws ArgumentError, naming the option, for what does not fit.
void check(const TrainSettings& settings);

}  // namespace slopewise
