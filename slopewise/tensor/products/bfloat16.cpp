#include "slopewise/tensor/products/bfloat16.hpp"

#include <cstring>

namespace slopewise {
namespace {

// The bits of a float whose upper half is the nearest bfloat16.
inline std::uint32_t round_up_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return nan ? bits | 0x00400000u : rounded;
}

}  // namespace

// AVX-512 narrows sixteen numbers in one instruction, AVX2 takes several for eight; the bits are the same.
[[gnu::target_clones("arch=x86-64-v4", "default")]] void to_bfloat16(const float* from, Bfloat16* to, Index count) {
  for (Index i = 0; i < count; ++i) to[i] = static_cast<Bfloat16>(round_up_half(from[i]) >> 16);
}

[[gnu::target_clones("arch=x86-64-v4", "default")]] void to_bfloat16_pairs(const float* even, const float* odd,
                                                                           Bfloat16* to, Index count) {
  for (Index i = 0; i < count; ++i) {
    const std::uint32_t pair = round_up_half(even[i]) >> 16 | (round_up_half(odd[i]) & 0xffff0000u);
    std::memcpy(to + 2 * i, &pair, sizeof pair);
  }
}

}  // namespace slopewise
