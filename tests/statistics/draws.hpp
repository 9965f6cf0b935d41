// Random draws for the tests of this room.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "slopewise/base/philox.hpp"

namespace slopewise {

// A standard normal number (Box and Muller).
inline double draw_normal(RandomStream& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

inline std::vector<double> draw_normals(RandomStream& random, std::size_t count) {
  std::vector<double> values(count);
  for (double& value : values) value = draw_normal(random);
  return values;
}

}  // namespace slopewise
