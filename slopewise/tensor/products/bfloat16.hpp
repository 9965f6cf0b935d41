// The upper half of a float: 8 bits of exponent, 7 of fraction.
#pragma once

#include <bit>
#include <cstdint>

#include "slopewise/base/shape.hpp"

namespace slopewise {

using Bfloat16 = std::uint16_t;

// Rounds to the nearest, ties to even; a NaN stays one.
void to_bfloat16(const float* from, Bfloat16* to, Index count);

namespace detail {

// The bits of a float whose upper half is the nearest bfloat16.
inline std::uint32_t round_up_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return nan ? bits | 0x00400000u : rounded;
}

}  // namespace detail

inline float from_bfloat16(Bfloat16 half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

}  // namespace slopewise
