// Where θ starts: a pure function of the seed and of each segment's initializer.
#pragma once

#include <cstdint>

#include "slopewise/program/program.hpp"
#include "slopewise/tensor/parameters.hpp"

namespace slopewise {

// kHe: normal with variance 2 / fan_in (He et al. 2015, arXiv 1502.01852, eq. 10). kGlorot: uniform with variance
// 2 / (fan_in + fan_out) (Glorot and Bengio 2010, eq. 16). kUniformFan: uniform with variance 1 / (3 fan_in), PyTorch's
// default for linear layers. kNormal: standard normal. Each times the initializer's gain. float and double get the same
// numbers, rounded.
template <class T>
Parameters<T> initialize(const ParameterLayout& layout, std::uint64_t seed);

}  // namespace slopewise
