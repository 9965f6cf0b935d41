// What tests of optimizers share.
#pragma once

#include <limits>
#include <vector>

#include "slopewise/tensor/parameters.hpp"

namespace slopewise {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

template <class T>
std::vector<T> copy_of(const Parameters<T>& theta) {
  return {theta.values().begin(), theta.values().end()};
}

}  // namespace slopewise
