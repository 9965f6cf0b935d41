// The hidden activities of a program at which tangents enter and gradients are estimated.
#pragma once

#include <vector>

#include "slopewise/program/program.hpp"

namespace slopewise {

struct ActivitySites {
  std::vector<Index> nodes;  // from the input up
  // Whether a site is exactly 0 where its layer passes nothing on (ReLU, dropout and max pooling of them): no tangent
  // enters there.
  bool rectified = true;
  double gain = 1;    // dh/dz where a rectified site is not 0: 1 / (1 − dropout)
  Index logits = -1;  // the node (classes) that the loss is made of
  Index head = -1;    // after which an exact head begins; −1: after the last site
};

// The sites that something that trains lies before, after the sites before them; and whether that holds of the logits.
// Elsewhere no cotangent is asked for, and so none is made.
struct TrainedSites {
  std::vector<Index> nodes;
  bool logits = false;
};
TrainedSites trained_sites(const Program& program, const ActivitySites& sites);

}  // namespace slopewise
