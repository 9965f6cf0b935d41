// Forward gradients along tangents of the weights with a learning rate of their own making; make_learner picks it.
#pragma once

#include "slopewise/train/learner.hpp"

namespace slopewise {

// The rate is AutoRate's (optimize/auto_rate.hpp), from slopes of every step and second-order terms of some. Slopes
// beyond its limit are clipped, and counted. The last layer is estimated like the others. Throws ArgumentError for a
// chain of several blocks' block and for an estimator other than "forward".
std::unique_ptr<Learner> auto_rate_learner(const MethodSettings& settings, const ChainBlock& block, std::uint64_t seed);

}  // namespace slopewise
