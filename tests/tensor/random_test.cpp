// Statistical checks use fixed seeds and normal approximations at 5.5 standard deviations: each would be a false alarm
// once in 2.6e7 seeds, or less often where it says so.
#include "slopewise/tensor/random.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/math/distributions/poisson.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"

#define HWY_DISABLE_PCLMUL_AES  // the targets of tensor/random.cpp
#include <hwy/highway.h>

namespace slopewise {
namespace {

constexpr RandomKey kKey{.seed = 0x0123456789ABCDEF, .step = 7, .stream = 11};
constexpr double kSigmas = 5.5;

std::uint32_t word_of(const RandomKey& key, std::int64_t block, std::size_t word) {
  const auto index = static_cast<std::uint64_t>(block);
  return philox4x32({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), key.step, key.stream},
                    key.seed)[word];
}

// The documented mappings, one entry at a time, in double precision.
double gaussian_reference(const RandomKey& key, std::int64_t entry) {
  const std::int64_t row = entry % 64 / 16, block = entry / 64 * 16 + entry % 16;
  const std::size_t pair = static_cast<std::size_t>(row) / 2 * 2;
  const double radius = std::sqrt(-2.0 * std::log((word_of(key, block, pair) + 0.5) * 0x1p-32));
  const double angle = 2.0 * std::numbers::pi * word_of(key, block, pair + 1) * 0x1p-32;
  return radius * (row % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

double uniform_reference(const RandomKey& key, std::int64_t entry) {
  const auto word = word_of(key, entry / 64 * 16 + entry % 16, static_cast<std::size_t>(entry % 64 / 16));
  const double odd = 2.0 * std::floor(static_cast<std::int32_t>(word) / 256.0) + 1.0;
  return static_cast<float>(odd) * (0x1p-24f * 1.7320508f);
}

double rademacher_reference(const RandomKey& key, std::int64_t entry) {
  const std::int64_t place = entry % 2048;
  const auto word = word_of(key, entry / 2048 * 16 + place % 16, static_cast<std::size_t>(place / 512));
  return (word >> (place % 512 / 16) & 1) != 0 ? -1.0 : 1.0;
}

struct Law {
  const char* name;
  void (*fill)(const RandomKey&, std::int64_t, std::span<float>);
  void (*fill_double)(const RandomKey&, std::int64_t, std::span<double>);
  double (*reference)(const RandomKey&, std::int64_t);
  double relative_error;  // of an entry against the reference, of max(1, |z|)
  double fourth, eighth;  // moments

  std::vector<float> draw(const RandomKey& key, std::int64_t first, std::size_t count) const {
    std::vector<float> out(count);
    fill(key, first, out);
    return out;
  }
};

void PrintTo(const Law& law, std::ostream* out) {
  *out << law.name;
}

class RandomLaw : public testing::TestWithParam<Law> {};

INSTANTIATE_TEST_SUITE_P(
    , RandomLaw,
    testing::Values(Law{"gaussian", fill_gaussian, fill_gaussian, gaussian_reference, 4e-7, 3.0, 105.0},
                    Law{"uniform", fill_uniform, fill_uniform, uniform_reference, 0.0, 1.8, 9.0},
                    Law{"rademacher", fill_rademacher, fill_rademacher, rademacher_reference, 0.0, 1.0, 1.0}),
    [](const auto& instance) { return std::string(instance.param.name); });

// Runs `body` once for every instruction set compiled and supported here, and gives the choice back after.
template <class Body>
void for_each_target(Body body) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body();
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
}

TEST_P(RandomLaw, EqualsTheDocumentedMappingOnEveryTarget) {
  const Law& law = GetParam();
  // The later starts reach blocks whose number fills the counter's second word, and one where it changes.
  const std::int64_t starts[] = {0, 12'345, (std::int64_t{1} << 34) - 3000, (std::int64_t{1} << 39) - 3000,
                                 (std::int64_t{1} << 62) + 77};
  for_each_target([&] {
    for (const RandomKey& key : {kKey, RandomKey{}, RandomKey{~0ull, ~0u, ~0u}}) {
      for (const std::int64_t first : starts) {
        const std::vector<float> drawn = law.draw(key, first, 6000);
        for (std::size_t i = 0; i < drawn.size(); ++i) {
          const double expected = law.reference(key, first + static_cast<std::int64_t>(i));
          ASSERT_NEAR(drawn[i], expected, law.relative_error * std::max(1.0, std::abs(expected)))
              << "entry " << first << " + " << i;
        }
      }
    }
  });
}

TEST_P(RandomLaw, SameBitsOnEveryTarget) {
  const Law& law = GetParam();
  const std::vector<float> expected = law.draw(kKey, 3, 4'000'000);
  for_each_target([&] {
    const std::vector<float> drawn = law.draw(kKey, 3, expected.size());
    EXPECT_EQ(std::memcmp(drawn.data(), expected.data(), expected.size() * sizeof(float)), 0);
  });
}

TEST_P(RandomLaw, SameBitsHoweverARangeIsCut) {
  const Law& law = GetParam();
  constexpr std::size_t kSize = 20'000;
  const std::vector<float> whole = law.draw(kKey, 0, kSize);
  RandomStream random(5);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<float> pieces(kSize + 1, 99.0f);
    const std::uint32_t longest = std::array{1u, 20u, 70u, 300u, 5000u}[random.below(5)];
    for (std::size_t at = 0; at < kSize;) {
      const std::size_t size = std::min<std::size_t>(random.below(longest + 1), kSize - at);
      law.fill(kKey, static_cast<std::int64_t>(at), std::span(pieces).subspan(at, size));
      EXPECT_EQ(pieces[at + size], 99.0f) << "written past the end of [" << at << ", " << at + size << ")";
      at += size;
    }
    pieces.pop_back();
    ASSERT_EQ(pieces, whole);
  }
}

TEST_P(RandomLaw, DoublesAreTheFloatsWidened) {
  const Law& law = GetParam();
  for (const std::int64_t first : {std::int64_t{0}, std::int64_t{2047}, std::int64_t{100'001}}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{7001}}) {
      std::vector<double> wide(size + 1, 99.0);
      law.fill_double(kKey, first, std::span(wide).first(size));
      EXPECT_EQ(wide.back(), 99.0);
      wide.pop_back();
      EXPECT_THAT(wide, testing::ElementsAreArray(law.draw(kKey, first, size)));
    }
  }
}

TEST_P(RandomLaw, RefusesANegativeStart) {
  std::vector<float> floats(3);
  std::vector<double> doubles(3);
  const auto message = testing::HasSubstr("first: found -1, expected at least 0");
  EXPECT_THAT([&] { GetParam().fill(kKey, -1, floats); }, testing::ThrowsMessage<ArgumentError>(message));
  EXPECT_THAT([&] { GetParam().fill_double(kKey, -1, doubles); }, testing::ThrowsMessage<ArgumentError>(message));
}

TEST_P(RandomLaw, Moments) {
  const Law& law = GetParam();
  const std::vector<float> drawn = law.draw(kKey, 0, 10'000'000);
  const double n = static_cast<double>(drawn.size());
  double sum = 0.0, sum2 = 0.0, sum3 = 0.0, sum4 = 0.0;
  for (const double x : drawn) {
    sum += x;
    sum2 += x * x;
    sum3 += x * x * x;
    sum4 += x * x * x * x;
  }
  const double sixth = law.fourth == 3.0 ? 15.0 : law.fourth == 1.8 ? 27.0 / 7.0 : 1.0;
  const auto bound = [&](double variance) { return kSigmas * std::sqrt(variance / n); };  // 0 where a power is constant
  EXPECT_NEAR(sum / n, 0.0, bound(1.0));
  EXPECT_NEAR(sum2 / n, 1.0, bound(law.fourth - 1.0));
  EXPECT_NEAR(sum3 / n, 0.0, bound(sixth));
  EXPECT_NEAR(sum4 / n, law.fourth, bound(law.eighth - law.fourth * law.fourth));
}

// The mean of x y, and of their centred squares, over two aligned sequences that should be independent.
void expect_uncorrelated(std::span<const float> x, std::span<const float> y, double fourth, const std::string& what) {
  const std::size_t n = std::min(x.size(), y.size());
  double products = 0.0, squares = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double a = x[i], b = y[i];
    products += a * b;
    squares += (a * a - 1.0) * (b * b - 1.0);
  }
  const double deviation = kSigmas * std::sqrt(static_cast<double>(n));
  EXPECT_LE(std::abs(products), deviation) << what;
  EXPECT_LE(std::abs(squares), deviation * (fourth - 1.0)) << what << ", squares";
}

TEST_P(RandomLaw, NeighboursStreamsStepsAndSeedsAreUncorrelated) {
  const Law& law = GetParam();
  const std::vector<float> drawn = law.draw(kKey, 0, 2'000'000);
  // 1: the next block; 16: the next word, which for a Gaussian shares its radius; 64, 2048: the next group.
  for (const std::size_t lag : {1, 2, 16, 32, 64, 512, 2048}) {
    expect_uncorrelated(drawn, std::span(drawn).subspan(lag), law.fourth, "lag " + std::to_string(lag));
  }
  RandomKey next_stream = kKey, next_step = kKey, next_seed = kKey;
  ++next_stream.stream;
  ++next_step.step;
  ++next_seed.seed;
  expect_uncorrelated(drawn, law.draw(next_stream, 0, drawn.size()), law.fourth, "next stream");
  expect_uncorrelated(drawn, law.draw(next_step, 0, drawn.size()), law.fourth, "next step");
  expect_uncorrelated(drawn, law.draw(next_seed, 0, drawn.size()), law.fourth, "next seed");
}

// Kolmogorov's asymptotic law: √n D exceeds c with probability 2 exp(−2 c²), 1e-7 at c = 2.9.
template <class Cdf>
void expect_fits(std::vector<float> sample, Cdf cdf) {
  std::sort(sample.begin(), sample.end());
  const double n = static_cast<double>(sample.size());
  double distance = 0.0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double expected = cdf(static_cast<double>(sample[i]));
    distance =
        std::max({distance, (static_cast<double>(i) + 1.0) / n - expected, expected - static_cast<double>(i) / n});
  }
  EXPECT_LT(distance * std::sqrt(n), 2.9);
}

TEST(RandomGaussian, FollowsTheNormalLaw) {
  std::vector<float> drawn(10'000'000);
  fill_gaussian(kKey, 0, drawn);
  expect_fits(std::move(drawn), [](double x) { return 0.5 * std::erfc(-x * std::numbers::sqrt2 / 2.0); });
}

TEST(RandomUniform, FollowsTheUniformLawInsideItsBounds) {
  std::vector<float> drawn(10'000'000);
  fill_uniform(kKey, 0, drawn);
  const auto [low, high] = std::minmax_element(drawn.begin(), drawn.end());
  EXPECT_GT(*low, -std::numbers::sqrt3);
  EXPECT_LT(*high, std::numbers::sqrt3);
  expect_fits(std::move(drawn), [](double x) { return 0.5 + x / (2.0 * std::numbers::sqrt3); });
}

// Counts beyond 4 and 5 standard deviations, on each side, are Poisson; each bound is crossed once in 1e8 seeds.
// Entries from both ends of the radius, where its logarithm is hardest, agree with the reference.
TEST(RandomGaussian, Tails) {
  constexpr std::int64_t kPieces = 1000, kPiece = 100'000;
  std::vector<float> drawn(kPiece);
  double beyond[2][2] = {};
  for (std::int64_t piece = 0; piece < kPieces; ++piece) {
    fill_gaussian(kKey, piece * kPiece, drawn);
    for (std::int64_t i = 0; i < kPiece; ++i) {
      const float z = drawn[static_cast<std::size_t>(i)];
      const float size = std::abs(z);
      if (size > 1e-5f && size < 4.0f) continue;
      for (const int sigmas : {4, 5}) beyond[sigmas - 4][z > 0.0f] += size > static_cast<float>(sigmas);
      const double expected = gaussian_reference(kKey, piece * kPiece + i);
      ASSERT_NEAR(z, expected, size > 1.0f ? 4e-7 * size : 1e-11);
    }
  }
  for (const int sigmas : {4, 5}) {
    const double mean = 0.5 * std::erfc(sigmas / std::numbers::sqrt2) * static_cast<double>(kPieces * kPiece);
    const boost::math::poisson law(mean);
    for (const double count : beyond[sigmas - 4]) {
      EXPECT_GE(count, boost::math::quantile(law, 1e-8)) << sigmas << " sigmas";
      EXPECT_LE(count, boost::math::quantile(boost::math::complement(law, 1e-8))) << sigmas << " sigmas";
    }
  }
}

}  // namespace
}  // namespace slopewise
