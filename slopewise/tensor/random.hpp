// Random entries, drawn in bulk: each a pure function of (key, index).
//
// Philox4x32-10 runs with the seed as its 64-bit key on the counter {block low, block high, step, stream}; a block
// gives four words. Sixteen consecutive blocks are a group, one SIMD lane a block, laid out so that stores are
// contiguous:
//
//   Gaussian, uniform: 64 entries a group. Entry e: with g = e / 64 and r = e % 64, word r / 16 of block 16 g + r % 16.
//   Rademacher: 2048 entries a group. Entry e: with g = e / 2048 and r = e % 2048, bit (r % 512) / 16 of word r / 512
//   of block 16 g + r % 16.
//
//   gaussian    Box-Muller on words (a, b) = (0, 1) and (2, 3) of the entry's block: with R = √(−2 ln((a + ½) 2⁻³²)),
//               R cos(2π b 2⁻³²) for the first word of the pair and R sin(2π b 2⁻³²) for the second. |z| ≤ √(66 ln 2) =
//               6.764; a Gaussian goes further once in 7e10 draws.
//   uniform     float(2 ⌊s / 2⁸⌋ + 1) · 2⁻²⁴ √3 with s the word as a signed integer: symmetric, variance 1, |x| < √3.
//   rademacher  bit 0 is +1, bit 1 is −1.
//
// The bits depend neither on threads, nor on how a range is cut into calls, nor on the instruction set. Gaussians are
// off the formula in exact arithmetic by 6e-8 in the root mean square and by less than 4e-7 max(1, |z|) always.
#pragma once

#include <cstdint>
#include <span>

#include "slopewise/base/philox.hpp"

namespace slopewise {

// A range that starts and ends at multiples of a group is written straight to `out`; cut groups cost a copy more.
inline constexpr std::int64_t kGaussianGroup = 64;
inline constexpr std::int64_t kUniformGroup = 64;
inline constexpr std::int64_t kRademacherGroup = 2048;

// Entries [first, first + out.size()) of the stream `key`: independent, with mean 0 and variance 1. The double forms
// give the float numbers, widened. Throw ArgumentError if first < 0.
void fill_gaussian(const RandomKey& key, std::int64_t first, std::span<float> out);
void fill_gaussian(const RandomKey& key, std::int64_t first, std::span<double> out);
void fill_uniform(const RandomKey& key, std::int64_t first, std::span<float> out);
void fill_uniform(const RandomKey& key, std::int64_t first, std::span<double> out);
void fill_rademacher(const RandomKey& key, std::int64_t first, std::span<float> out);
void fill_rademacher(const RandomKey& key, std::int64_t first, std::span<double> out);

}  // namespace slopewise
