// e^x where loops over it must be vectorised: the C library's is a call an entry.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace slopewise {

// e^x to one unit in the last place and a half, for float without a branch; the C library's for wider types. 0 at −inf,
// +inf where it overflows, NaN for NaN. The polynomial is that of Moshier's Cephes library (expf).
template <class V>
inline V exponential(V x) {
  if constexpr (std::is_same_v<V, float>) {
    // x = n ln 2 + r, n whole: 1.5 · 2²³ pushes a sum's fraction out, and NaN passes every comparison.
    constexpr float kShift = 0x1.8p23F, kLow = -104, kHigh = 89;
    const float bounded = x < kLow ? kLow : x > kHigh ? kHigh : x;
    const float shifted = bounded * 0x1.715476p+0F + kShift;
    const float n = shifted - kShift;
    float r = std::fma(n, -0x1.62e400p-1F, bounded);
    r = std::fma(n, -0x1.7f7d1cp-20F, r);
    float p = 1.9875691500e-4F;
    p = std::fma(p, r, 1.3981999507e-3F);
    p = std::fma(p, r, 8.3334519073e-3F);
    p = std::fma(p, r, 4.1665795894e-2F);
    p = std::fma(p, r, 1.6666665459e-1F);
    p = std::fma(p, r, 5.0000001201e-1F);
    p = std::fma(p, r * r, r) + 1.0F;
    // 2ⁿ by two factors, each a float though 2ⁿ may be none.
    const std::int32_t power = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kShift);
    const std::int32_t half = power >> 1;
    const auto two_to = [](std::int32_t e) { return std::bit_cast<float>((e + 127) << 23); };
    return p * two_to(half) * two_to(power - half);
  } else {
    return std::exp(x);
  }
}

}  // namespace slopewise
