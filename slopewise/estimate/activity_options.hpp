// What activity perturbation is told, beside the tangents (activity.hpp).
#pragma once

#include <string>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// How much of the residual that the slopes measure is added to the prior.
enum class Correction {
  kFull,   // all: unbiased
  kGated,  // α = min(1, √(τ K S / (n V))) of it at a site of n active units, V and S running means of the squared
           // residual slope and slope of earlier batches: its noise then is at most τ of the signal; biased where α < 1
  kNone,  // nothing: the prior alone, which has the prior's bias
};

struct ActivityOptions {
  std::string prior = "none";  // activity_prior.hpp
  Correction correction = Correction::kFull;
  double gate = 0.1;   // τ
  double pace = 0.15;  // γ of the prior
  // Of priors that stand at the cuts of a residual stream (residual.hpp): blocks between two cuts; and how many of
  // these groups above a cut its m is taken back through first, with no tangents.
  Index group = 1, ahead = 0;
  // All sites at once, with one slope for their sum: K tangents. Or each site alone: K for each.
  bool together = true;
};

}  // namespace slopewise
