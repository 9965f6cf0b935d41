// Statistical checks use fixed seeds; each states how often another seed would fail it.
#include <Random123/philox.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#undef philox4x32  // Random123 makes it a macro
#include "slopewise/base/philox.hpp"

namespace slopewise {
namespace {

using Block = std::array<std::uint32_t, 4>;

static_assert(std::uniform_random_bit_generator<RandomStream>);

// From kat_vectors of Random123.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, ~0ull), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EqualsRandom123) {
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 100'000; ++trial) {
    const std::uint64_t low = random(), high = random(), key = random();
    const Block counter = {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32),
                           static_cast<std::uint32_t>(high), static_cast<std::uint32_t>(high >> 32)};
    const auto expected =
        r123::Philox4x32()({{counter[0], counter[1], counter[2], counter[3]}},
                           {{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}});
    ASSERT_EQ(philox4x32(counter, key), (Block{expected[0], expected[1], expected[2], expected[3]}));
  }
}

TEST(DeriveSeed, DiffersByPurposeAndSeed) {
  std::set<std::uint64_t> seeds;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    for (std::uint64_t purpose = 0; purpose < 100; ++purpose) seeds.insert(derive_seed(seed, purpose));
  }
  EXPECT_EQ(seeds.size(), 10'000u);
}

TEST(RandomStream, GivesTheBlocksInOrder) {
  const std::uint64_t key = derive_seed(3, 4);
  RandomStream random(3, 4);
  for (std::uint32_t block = 0; block < 5; ++block) {
    for (const std::uint32_t word : philox4x32({block, 0, 0, 0}, key)) EXPECT_EQ(random(), word);
  }
}

// Kolmogorov–Smirnov: √n D exceeds 2.9 once in 1e7 seeds.
TEST(RandomStream, UniformFillsItsRange) {
  RandomStream random(1);
  std::vector<double> drawn(1'000'000);
  for (double& x : drawn) x = random.uniform();
  std::sort(drawn.begin(), drawn.end());
  EXPECT_GE(drawn.front(), 0.0);
  EXPECT_LT(drawn.back(), 1.0);
  const double n = static_cast<double>(drawn.size());
  double distance = 0.0;
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    const double rank = static_cast<double>(i);
    distance = std::max({distance, (rank + 1.0) / n - drawn[i], drawn[i] - rank / n});
  }
  EXPECT_LT(distance * std::sqrt(n), 2.9);
}

TEST(RandomStream, UniformHas53Bits) {
  RandomStream random(1);
  bool odd = false;
  for (int i = 0; i < 100; ++i) {
    const double multiple = random.uniform() * 0x1p53;
    EXPECT_EQ(multiple, std::floor(multiple));
    odd |= std::fmod(multiple, 2.0) == 1.0;
  }
  EXPECT_TRUE(odd);  // by chance never once in 2¹⁰⁰ seeds
}

TEST(RandomStream, UniformScalesToItsBounds) {
  RandomStream random(2);
  RandomStream same(2);
  for (int i = 0; i < 1000; ++i) {
    const double x = random.uniform(-3.0, 5.0);
    EXPECT_EQ(x, -3.0 + 8.0 * same.uniform());
    EXPECT_GE(x, -3.0);
    EXPECT_LT(x, 5.0);
  }
}

// Pearson's statistic of counts that should be equal, as standard deviations from its mean.
double chi_square_deviation(const std::vector<double>& counts) {
  double total = 0.0, statistic = 0.0;
  for (const double count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  for (const double count : counts) statistic += (count - expected) * (count - expected) / expected;
  const double freedom = static_cast<double>(counts.size()) - 1.0;
  return (statistic - freedom) / std::sqrt(2.0 * freedom);
}

// χ² with 2 degrees of freedom is 15 of its standard deviations above its mean once in 9e6 seeds, with 9 less often.
TEST(RandomStream, BelowIsUnbiased) {
  RandomStream random(3);
  std::vector<double> digits(10);
  for (int i = 0; i < 1'000'000; ++i) ++digits.at(random.below(10));
  EXPECT_LT(chi_square_deviation(digits), 15.0);

  // Scaling 2³² words to 3·2³⁰ values without rejection would give every third value twice its share.
  std::vector<double> thirds(3);
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint32_t value = random.below(3u << 30);
    ASSERT_LT(value, 3u << 30);
    ++thirds[value % 3];
  }
  EXPECT_LT(chi_square_deviation(thirds), 15.0);
}

TEST(RandomStream, BelowOneIsZero) {
  RandomStream random(4);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace slopewise
