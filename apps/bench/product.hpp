// The matrix product that floors are measured by.
#pragma once

#include <functional>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// x Wᵀ with x (batch, kProductSide) and packed W (kProductSide, kProductSide), the rows of x spread over the threads,
// as a function of no arguments. `bfloat16`: both factors, which needs has_bfloat16().
inline constexpr Index kProductSide = 1024;
std::function<void()> make_product(Index batch, bool bfloat16);

// Its floating-point operations.
constexpr double product_flops(Index batch) {
  return 2.0 * static_cast<double>(batch) * kProductSide * kProductSide;
}

}  // namespace slopewise
