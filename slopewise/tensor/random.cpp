#include "slopewise/tensor/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "slopewise/base/error.hpp"
#include "slopewise/tensor/instruction_set.hpp"

// This file is compiled once for each instruction set from AVX2 (or NEON) up: all have a fused multiply-add, and with
// it the same bits. Highway would take x86-64-v3, which promises no AES, for something older than AVX2.
#define HWY_DISABLE_PCLMUL_AES
// Vectors of unknown length cannot be held in arrays, as the kernels do.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "slopewise/tensor/random.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace slopewise {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Blocks in a group. A vector holds all sixteen or a power-of-two part of them.
constexpr std::size_t kLanes = 16;
using Bits = hn::CappedTag<std::uint32_t, kLanes>;
using WideBits = hn::Repartition<std::uint64_t, Bits>;
using Ints = hn::Rebind<std::int32_t, Bits>;
using Floats = hn::Rebind<float, Bits>;
using BitsV = hn::Vec<Bits>;
using IntsV = hn::Vec<Ints>;
using FloatsV = hn::Vec<Floats>;
constexpr std::size_t kVector = hn::MaxLanes(Bits());

// Vectors of blocks drawn side by side, to hide latencies: AVX-512 has the registers for two.
constexpr std::size_t kSideBySide = kVector == kLanes ? 2 : 1;

// What stays fixed over one call: the upper half of the counter and the ten round keys.
struct Stream {
  explicit Stream(const RandomKey& key) : step(key.step), stream(key.stream) {
    for (std::uint32_t round = 0; round < 10; ++round) {
      round_key0[round] = static_cast<std::uint32_t>(key.seed) + round * 0x9E3779B9u;
      round_key1[round] = static_cast<std::uint32_t>(key.seed >> 32) + round * 0xBB67AE85u;
    }
  }
  std::uint32_t step, stream;
  std::uint32_t round_key0[10], round_key1[10];
};

// Four words a block, one block a lane.
struct Words {
  BitsV word[4];
};

// The words of N vectors of consecutive blocks from `block` on, a multiple of a vector: the upper half of the block
// number is then the same throughout a vector. Products are 64 bits wide, so that a vector makes two states, of its
// even and of its odd lanes; in a state the odd 32-bit lanes hold leftovers that no product reads.
template <std::size_t N>
HWY_INLINE void philox(const Stream& stream, std::uint64_t block, Words (&words)[N]) {
  const Bits d;
  const WideBits wide;
  const BitsV multiplier0 = hn::Set(d, 0xD2511F53u);
  const BitsV multiplier1 = hn::Set(d, 0xCD9E8D57u);
  const BitsV step = hn::Set(d, stream.step);
  const BitsV number = hn::Set(d, stream.stream);
  Words states[2 * N];
  for (std::size_t i = 0; i < N; ++i) {
    const std::uint64_t start = block + i * kVector;
    const BitsV low = hn::Add(hn::Set(d, static_cast<std::uint32_t>(start)), hn::Iota(d, 0));
    const BitsV high = hn::Set(d, static_cast<std::uint32_t>(start >> 32));
    states[2 * i] = {low, high, step, number};
    states[2 * i + 1] = {hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, low))), high, step, number};
  }
  for (std::size_t round = 0; round < 10; ++round) {
    const BitsV key0 = hn::Set(d, stream.round_key0[round]);
    const BitsV key1 = hn::Set(d, stream.round_key1[round]);
    for (auto& [c] : states) {
      const auto product0 = hn::MulEven(c[0], multiplier0);
      const auto product1 = hn::MulEven(c[2], multiplier1);
      c[0] = hn::Xor3(hn::BitCast(d, hn::ShiftRight<32>(product1)), c[1], key0);
      c[1] = hn::BitCast(d, product1);
      c[2] = hn::Xor3(hn::BitCast(d, hn::ShiftRight<32>(product0)), c[3], key1);
      c[3] = hn::BitCast(d, product0);
    }
  }
  for (std::size_t i = 0; i < N; ++i) {
    for (std::size_t k = 0; k < 4; ++k) {
      words[i].word[k] = hn::OddEven(hn::DupEven(states[2 * i + 1].word[k]), states[2 * i].word[k]);
    }
  }
}

// value = the polynomial in x of these coefficients, highest power first, for N vectors in step.
template <std::size_t N, std::size_t kCount>
HWY_INLINE void polynomial(const FloatsV (&x)[N], const float (&coefficients)[kCount], FloatsV (&value)[N]) {
  const Floats d;
  for (FloatsV& v : value) v = hn::Set(d, coefficients[0]);
  for (std::size_t k = 1; k < kCount; ++k) {
    for (std::size_t i = 0; i < N; ++i) value[i] = hn::MulAdd(value[i], x[i], hn::Set(d, coefficients[k]));
  }
}

// R = √(−2 ln u), u = (word + ½) 2⁻³². Whichever of u and 1 − u is below ½ is made first, as w, so that both ends keep
// full relative precision. Then u = m 2ᵉ with m in [√½, √2), t = 1 − m, and −2 ln(1 − t) = t p(t), with p a minimax
// fit that leaves an error below 6e-8 in R.
template <std::size_t N>
HWY_INLINE void draw_radius(const BitsV (&word)[N], FloatsV (&radius)[N]) {
  const Floats d;
  const Ints di;
  const IntsV root_half = hn::Set(di, 0x3F3504F3);  // the bits of √½
  FloatsV exponent[N], t[N], p[N];
  for (std::size_t i = 0; i < N; ++i) {
    const IntsV half = hn::BitCast(di, word[i]);
    const IntsV mirrored = hn::Xor(half, hn::BroadcastSignBit(half));
    const FloatsV w = hn::MulAdd(hn::ConvertTo(d, mirrored), hn::Set(d, 0x1p-32f), hn::Set(d, 0x1p-33f));
    const FloatsV u = hn::IfNegativeThenElse(hn::BitCast(d, half), hn::Sub(hn::Set(d, 1.0f), w), w);
    const IntsV offset = hn::Sub(hn::BitCast(di, u), root_half);
    const FloatsV m = hn::BitCast(d, hn::Add(hn::And(offset, hn::Set(di, 0x007FFFFF)), root_half));
    exponent[i] = hn::ConvertTo(d, hn::ShiftRight<23>(offset));
    // A non-negative offset means u ≥ √½: e = 0 and t = w, free of the rounding of 1 − w.
    t[i] = hn::IfNegativeThenElse(hn::BitCast(d, offset), hn::Sub(hn::Set(d, 1.0f), m), w);
  }
  polynomial(t,
             {2.045015097e-01f, 3.267888129e-01f, 3.451777697e-01f, 3.977091610e-01f, 4.993601143e-01f,
              6.667087078e-01f, 1.000007987e+00f, 2.0f},
             p);
  for (std::size_t i = 0; i < N; ++i) {
    radius[i] = hn::Sqrt(hn::MulAdd(exponent[i], hn::Set(d, -1.38629436f), hn::Mul(t[i], p[i])));
  }
}

// Turns z0 = R into R cos φ and z1 = R sin φ, φ = 2π word 2⁻³². The distance v π/2 of φ from the nearest multiple of
// π/2, |v| ≤ ½, comes from the integer exactly; sin(v π/2) / v and cos(v π/2) are minimax fits in v², errors below
// 2e-9, 3e-8.
template <std::size_t N>
HWY_INLINE void turn(const BitsV (&word)[N], FloatsV (&z0)[N], FloatsV (&z1)[N]) {
  const Bits bits;
  const Ints di;
  const Floats d;
  const BitsV sign = hn::Set(bits, 0x80000000u);
  FloatsV v[N], square[N], sine[N], cosine[N];
  for (std::size_t i = 0; i < N; ++i) {
    v[i] = hn::Mul(hn::ConvertTo(d, hn::BitCast(di, hn::ShiftLeft<2>(word[i]))), hn::Set(d, 0x1p-32f));
    square[i] = hn::Mul(v[i], v[i]);
  }
  polynomial(square, {-4.592331592e-03f, 7.967592031e-02f, -6.459629536e-01f, 1.570796251e+00f}, sine);
  polynomial(square, {-2.040835284e-02f, 2.535986304e-01f, -1.233697057e+00f, 1.0f}, cosine);
  for (std::size_t i = 0; i < N; ++i) {
    sine[i] = hn::Mul(sine[i], v[i]);
    // Bits 31 and 30 count the multiples of π/2: odd ones swap sine and cosine, 2 and 3 negate the sine, 1 and 2 the
    // cosine.
    const BitsV quadrant = hn::Add(word[i], hn::Set(bits, 0x20000000u));
    const FloatsV odd = hn::BitCast(d, hn::ShiftLeft<1>(quadrant));
    const BitsV radius = hn::BitCast(bits, z0[i]);
    const BitsV radius0 = hn::OrAnd(radius, hn::Add(quadrant, hn::Set(bits, 0x40000000u)), sign);
    const BitsV radius1 = hn::OrAnd(radius, quadrant, sign);
    z0[i] = hn::Mul(hn::BitCast(d, radius0), hn::IfNegativeThenElse(odd, sine[i], cosine[i]));
    z1[i] = hn::Mul(hn::BitCast(d, radius1), hn::IfNegativeThenElse(odd, cosine[i], sine[i]));
  }
}

// How four words become four values.
struct Gaussian {
  template <std::size_t N>
  static HWY_INLINE void values(const Words (&words)[N], FloatsV (&z)[N][4]) {
    BitsV radius_word[2 * N], angle_word[2 * N];
    FloatsV z0[2 * N], z1[2 * N];
    for (std::size_t i = 0; i < 2 * N; ++i) {
      radius_word[i] = words[i / 2].word[i % 2 * 2];
      angle_word[i] = words[i / 2].word[i % 2 * 2 + 1];
    }
    draw_radius(radius_word, z0);
    turn(angle_word, z0, z1);
    for (std::size_t i = 0; i < 2 * N; ++i) {
      z[i / 2][i % 2 * 2] = z0[i];
      z[i / 2][i % 2 * 2 + 1] = z1[i];
    }
  }
};

struct Uniform {
  template <std::size_t N>
  static HWY_INLINE void values(const Words (&words)[N], FloatsV (&x)[N][4]) {
    const Ints di;
    const Floats d;
    for (std::size_t i = 0; i < N; ++i) {
      for (std::size_t k = 0; k < 4; ++k) {
        const IntsV odd = hn::Or(hn::ShiftRight<7>(hn::BitCast(di, words[i].word[k])), hn::Set(di, 1));
        x[i][k] = hn::Mul(hn::ConvertTo(d, odd), hn::Set(d, 0x1p-24f * 1.7320508f));  // |odd| < 2²⁴ converts exactly
      }
    }
  }
};

// A law whose words become one value each: 4 rows of 16 entries a group. Laws write kAtOnce groups at once.
template <class Law>
struct ValuePerWord {
  static constexpr std::size_t kGroup = 4 * kLanes;
  static_assert(kGroup == kGaussianGroup && kGroup == kUniformGroup);
  static constexpr std::size_t kAtOnce = kSideBySide;

  // Writes kGroups consecutive groups.
  template <std::size_t kGroups>
  static HWY_INLINE void write(const Stream& stream, std::uint64_t group, float* out) {
    constexpr std::size_t kVectors = kGroups * kLanes / kVector;
    constexpr std::size_t N = std::min(kVectors, kSideBySide);
    for (std::size_t vector = 0; vector < kVectors; vector += N) {
      Words words[N];
      philox(stream, group * kLanes + vector * kVector, words);
      FloatsV values[N][4];
      Law::values(words, values);
      for (std::size_t i = 0; i < N; ++i) {
        const std::size_t block = (vector + i) * kVector;
        float* const first = out + block / kLanes * kGroup + block % kLanes;
        for (std::size_t k = 0; k < 4; ++k) hn::StoreU(values[i][k], Floats(), first + k * kLanes);
      }
    }
  }

  // Writes a group, of which the caller needs some rows.
  static HWY_INLINE void write_rows(const Stream& stream, std::uint64_t group, std::size_t, std::size_t, float* out) {
    write<1>(stream, group, out);
  }
};

// Every bit of a word becomes the sign of a value: 128 rows of 16 entries a group.
struct ValuePerBit {
  static constexpr std::size_t kWord = 32;
  static constexpr std::size_t kGroup = 4 * kWord * kLanes;
  static_assert(kGroup == kRademacherGroup);
  static constexpr std::size_t kAtOnce = 1;

  template <std::size_t kGroups>
  static HWY_INLINE void write(const Stream& stream, std::uint64_t group, float* out) {
    static_assert(kGroups == 1);
    write_rows(stream, group, 0, kGroup / kLanes, out);
  }

  // Writes the rows [first_row, last_row) of a group at their place in it.
  static HWY_INLINE void write_rows(const Stream& stream, std::uint64_t group, std::size_t first_row,
                                    std::size_t last_row, float* out) {
    const Bits bits;
    const Floats d;
    const BitsV one = hn::BitCast(bits, hn::Set(d, 1.0f));
    const BitsV sign = hn::Set(bits, 0x80000000u);
    for (std::size_t lane = 0; lane < kLanes; lane += kVector) {
      Words words[1];
      philox(stream, group * kLanes + lane, words);
      for (std::size_t k = 0; k < 4; ++k) {
        const std::size_t begin = std::max(first_row, k * kWord);
        const std::size_t end = std::min(last_row, (k + 1) * kWord);
        if (begin >= end) continue;
        // Row r is the sign of bit r: from the last row on, doubling brings the next bit to the top.
        const auto unused = static_cast<std::uint32_t>(kWord - 1 - (end - 1) % kWord);
        BitsV word = hn::Shl(words[0].word[k], hn::Set(bits, unused));
        for (std::size_t row = end; row-- > begin;) {
          hn::StoreU(hn::BitCast(d, hn::OrAnd(one, word, sign)), d, out + row * kLanes + lane);
          word = hn::Add(word, word);
        }
      }
    }
  }
};

template <class Law>
HWY_INLINE void fill(const RandomKey& key, std::uint64_t first, float* out, std::size_t count) {
  const Stream stream(key);
  std::uint64_t group = first / Law::kGroup;
  std::size_t skip = first % Law::kGroup;
  while (count > 0) {
    std::size_t taken = Law::kAtOnce * Law::kGroup;
    if (skip == 0 && count >= taken) {
      Law::template write<Law::kAtOnce>(stream, group, out);
      group += Law::kAtOnce;
    } else {
      alignas(64) float scratch[Law::kGroup];
      taken = std::min(Law::kGroup - skip, count);
      Law::write_rows(stream, group, skip / kLanes, (skip + taken + kLanes - 1) / kLanes, scratch);
      std::memcpy(out, scratch + skip, taken * sizeof(float));
      ++group;
      skip = 0;
    }
    out += taken;
    count -= taken;
  }
}

void gaussian(const RandomKey& key, std::uint64_t first, float* out, std::size_t count) {
  fill<ValuePerWord<Gaussian>>(key, first, out, count);
}
void uniform(const RandomKey& key, std::uint64_t first, float* out, std::size_t count) {
  fill<ValuePerWord<Uniform>>(key, first, out, count);
}
void rademacher(const RandomKey& key, std::uint64_t first, float* out, std::size_t count) {
  fill<ValuePerBit>(key, first, out, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace slopewise
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slopewise {
namespace {

// A process that is narrowed to AVX2 draws with it too. Highway numbers its targets from the best down.
[[maybe_unused]] const bool kNarrowed = [] {
  if (instruction_set() == InstructionSet::kAvx2) hwy::DisableTargets(HWY_AVX2 - 1);
  return true;
}();

HWY_EXPORT(gaussian);
HWY_EXPORT(uniform);
HWY_EXPORT(rademacher);

using Kernel = void (*)(const RandomKey&, std::uint64_t, float*, std::size_t);

void check_first(const char* function, std::int64_t first) {
  if (first < 0) throw ArgumentError(fmt::format("{}: first: found {}, expected at least 0", function, first));
}

void run(const char* function, Kernel kernel, const RandomKey& key, std::int64_t first, std::span<float> out) {
  check_first(function, first);
  kernel(key, static_cast<std::uint64_t>(first), out.data(), out.size());
}

// Draws floats in pieces that stay in the first-level cache, cut at multiples of every group, and widens them.
void run(const char* function, Kernel kernel, const RandomKey& key, std::int64_t first, std::span<double> out) {
  check_first(function, first);
  constexpr std::size_t kPiece = kRademacherGroup;
  alignas(64) float piece[kPiece];
  auto next = static_cast<std::uint64_t>(first);
  while (!out.empty()) {
    const std::size_t count = std::min(kPiece - next % kPiece, out.size());
    kernel(key, next, piece, count);
    std::copy(piece, piece + count, out.begin());
    next += count;
    out = out.subspan(count);
  }
}

}  // namespace

void fill_gaussian(const RandomKey& key, std::int64_t first, std::span<float> out) {
  run("fill_gaussian", HWY_DYNAMIC_DISPATCH(gaussian), key, first, out);
}
void fill_gaussian(const RandomKey& key, std::int64_t first, std::span<double> out) {
  run("fill_gaussian", HWY_DYNAMIC_DISPATCH(gaussian), key, first, out);
}
void fill_uniform(const RandomKey& key, std::int64_t first, std::span<float> out) {
  run("fill_uniform", HWY_DYNAMIC_DISPATCH(uniform), key, first, out);
}
void fill_uniform(const RandomKey& key, std::int64_t first, std::span<double> out) {
  run("fill_uniform", HWY_DYNAMIC_DISPATCH(uniform), key, first, out);
}
void fill_rademacher(const RandomKey& key, std::int64_t first, std::span<float> out) {
  run("fill_rademacher", HWY_DYNAMIC_DISPATCH(rademacher), key, first, out);
}
void fill_rademacher(const RandomKey& key, std::int64_t first, std::span<double> out) {
  run("fill_rademacher", HWY_DYNAMIC_DISPATCH(rademacher), key, first, out);
}

}  // namespace slopewise
#endif  // HWY_ONCE
