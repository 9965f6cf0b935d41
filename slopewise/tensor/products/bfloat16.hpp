// The upper half of a float: 8 bits of exponent, 7 of fraction.
#pragma once

#include <bit>
#include <cstdint>

#include "slopewise/base/shape.hpp"

namespace slopewise {

using Bfloat16 = std::uint16_t;

// Rounds to the nearest, ties to even; a NaN stays one.
void to_bfloat16(const float* from, Bfloat16* to, Index count);
// The same of two rows at once: to[2 i] from even[i], to[2 i + 1] from odd[i].
void to_bfloat16_pairs(const float* even, const float* odd, Bfloat16* to, Index count);

inline float from_bfloat16(Bfloat16 half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

}  // namespace slopewise
