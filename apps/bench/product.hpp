// The matrix products that floors are measured by.
#pragma once

#include <functional>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// How W is held and multiplied.
enum class ProductKind {
  kPacked,
  kBfloat16,  // packed, both factors in bfloat16, which needs has_bfloat16()
  kPlain      // row-major, by matmul
};

// x Wᵀ with x (batch, kProductSide) and W (kProductSide, kProductSide), the rows of x spread over the threads, as a
// function of no arguments.
inline constexpr Index kProductSide = 1024;
std::function<void()> make_product(Index batch, ProductKind kind);

// Its floating-point operations.
constexpr double product_flops(Index batch) {
  return 2.0 * static_cast<double>(batch) * kProductSide * kProductSide;
}

}  // namespace slopewise
