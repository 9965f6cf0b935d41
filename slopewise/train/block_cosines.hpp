// Where along a network an estimate points with the gradient.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "slopewise/program/program.hpp"

namespace slopewise {

// The cosine of an estimate with the exact gradient in the parameters of each block of a program (stream.hpp), from the
// input up: "stem", "block1", …, "head". Those that have none, or whose estimate or gradient is 0, are left out.
std::vector<std::pair<std::string, double>> block_cosines(const Program& program, Index logits,
                                                          std::span<const float> estimate,
                                                          std::span<const float> gradient);

}  // namespace slopewise
