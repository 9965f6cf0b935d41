// Pullbacks of cotangents that are not finite: what does not vary has no slope, in sums of products too.
#pragma once

#include "slopewise/program/op.hpp"

namespace slopewise {

// op.pull(visit), but that a cotangent which is infinite or NaN brings nothing where it meets a coefficient that is 0.
// An input's entry that it reaches by any other is not finite.
template <class T>
void pull_past_zeros(const Op& op, const Pull<T>& visit);

}  // namespace slopewise
