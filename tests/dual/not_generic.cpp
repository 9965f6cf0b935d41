// Must not compile, and say why: a lambda of doubles is no function of duals.
#include <vector>

#include "slopewise/dual/derivatives.hpp"

int main() {
  const auto square = [](std::span<const double> x) { return x[0] * x[0]; };
  const std::vector<double> x{1};
  return static_cast<int>(slopewise::gradient(square, x).value);
}
