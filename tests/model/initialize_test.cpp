#include "slopewise/model/initialize.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "slopewise/statistics/moments.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kEntries = 200'000;

struct Law {
  Initializer initializer;
  double variance;
  double bound;  // of |entry|; 0: none
};

// One large segment of each random kind, and what its header promises.
std::vector<Law> laws() {
  using enum Initializer::Kind;
  return {{{.kind = kHe, .fan_in = 50}, 2.0 / 50, 0},
          {{.kind = kGlorot, .fan_in = 30, .fan_out = 20}, 2.0 / 50, std::sqrt(6.0 / 50)},
          {{.kind = kUniformFan, .fan_in = 25}, 1.0 / 75, 1.0 / 5},
          {{.kind = kNormal}, 1, 0},
          {{.kind = kHe, .fan_in = 50, .gain = 0.5}, 0.5 / 50, 0},
          {{.kind = kGlorot, .fan_in = 30, .fan_out = 20, .gain = 0.5}, 0.5 / 50, std::sqrt(1.5 / 50)}};
}

ParameterLayout layout_of_all() {
  ParameterLayout layout;
  for (const Law& law : laws()) layout.add("random", {kEntries}, law.initializer, kEntries);
  layout.add("ones", {7}, {.kind = Initializer::Kind::kOne}, 7);
  layout.add("zeros", {9}, {}, 9);
  return layout;
}

// 6 laws, 2 comparisons each: false alarm rate 9.6e-10.
TEST(Initialize, MomentsAndBoundsOfEachKind) {
  const ParameterLayout layout = layout_of_all();
  const auto theta = initialize<double>(layout, 1);
  for (std::size_t i = 0; i < laws().size(); ++i) {
    const Law law = laws()[i];
    Moments moments;
    moments.add(theta.values().subspan(i * kEntries, kEntries));
    EXPECT_TRUE(agrees(moments.mean(), 0, moments.mean_error())) << "law " << i;
    EXPECT_TRUE(agrees(moments.variance(), law.variance, moments.variance_error())) << "law " << i;
    const double largest = std::max(-moments.min(), moments.max());
    if (law.bound > 0) {
      // All of the interval is used: an entry fails to come within 0.1 % of its ends with probability 0.999^200,000.
      EXPECT_LE(largest, law.bound);
      EXPECT_GE(largest, 0.999 * law.bound);
    } else {
      EXPECT_GT(largest, 4 * std::sqrt(law.variance));
    }
  }
  const auto rest = theta.values().subspan(laws().size() * kEntries);
  EXPECT_TRUE(std::all_of(rest.begin(), rest.begin() + 7, [](double entry) { return entry == 1; }));
  EXPECT_TRUE(std::all_of(rest.begin() + 7, rest.end(), [](double entry) { return entry == 0; }));
}

TEST(Initialize, FloatIsDoubleRounded) {
  const ParameterLayout layout = layout_of_all();
  const auto wide = initialize<double>(layout, 3);
  const auto narrow = initialize<float>(layout, 3);
  EXPECT_TRUE(std::equal(wide.values().begin(), wide.values().end(), narrow.values().begin(), narrow.values().end(),
                         [](double a, float b) { return static_cast<float>(a) == b; }));
}

TEST(Initialize, AFunctionOfTheSeedAndTheSegment) {
  ParameterLayout layout;
  layout.add("a", {100}, {.kind = Initializer::Kind::kNormal}, 100);
  layout.add("b", {100}, {.kind = Initializer::Kind::kNormal}, 100);
  const auto start = [&](std::uint64_t seed) {
    const auto theta = initialize<float>(layout, seed);
    return std::vector<float>(theta.values().begin(), theta.values().end());
  };
  EXPECT_EQ(start(1), start(1));
  EXPECT_NE(start(1), start(2));
  const std::vector<float> theta = start(1);
  EXPECT_FALSE(std::equal(theta.begin(), theta.begin() + 100, theta.begin() + 100));
}

}  // namespace
}  // namespace slopewise
