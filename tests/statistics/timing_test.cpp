#include "slopewise/statistics/timing.hpp"

#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"

namespace slopewise {
namespace {

TEST(Median, IsTheMiddle) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_THROW(median({}), ArgumentError);
}

// Ten values: the interval [x₍₂₎, x₍₉₎] misses with probability 2 · 11/1024 = 0.0215, [x₍₃₎, x₍₈₎] with 0.109.
TEST(MedianInterval, TakesTheInnermostOrderStatisticsThatKeepTheConfidence) {
  const std::vector<double> values = {7, 3, 10, 1, 9, 2, 8, 4, 6, 5};
  const Interval interval = median_interval(values, 0.95);
  EXPECT_EQ(interval.low, 2);
  EXPECT_EQ(interval.high, 9);
  EXPECT_EQ(median_interval(values, 0.89).low, 3);
  EXPECT_EQ(median_interval(values, 0.998).low, 1);
  EXPECT_THROW(median_interval(values, 0.9999), ArgumentError);
}

// 31 values: the exact coverage at 0.9 is 0.9252 (k = 11), so 4000 trials hit 3701 ± 17 times; 3601 to 3801 is missed
// by chance with probability below 1e-8.
TEST(MedianInterval, CoversAsOftenAsItSays) {
  RandomStream random(7);
  int hits = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    std::vector<double> values(31);
    for (double& value : values) value = random.uniform();
    hits += median_interval(values, 0.9).contains(0.5);
  }
  EXPECT_GE(hits, 3617);
  EXPECT_LE(hits, 3817);
}

// Round by round the second task takes 4 times as long, however fast the rounds are.
TEST(SecondsRatio, ComparesWithinRounds) {
  std::vector<double> first, second;
  for (int round = 1; round <= 31; ++round) {
    first.push_back(round);
    second.push_back(4.0 * round);
  }
  const Ratio ratio = seconds_ratio(second, first, 0.999, 1);
  EXPECT_EQ(ratio.value, 3);
  EXPECT_EQ(ratio.interval.low, 3);
  EXPECT_EQ(ratio.interval.high, 3);
}

TEST(InterleavedSeconds, RunsTheTasksInTurn) {
  std::string order;
  const std::function<void()> tasks[] = {[&] { order += 'a'; }, [&] { order += 'b'; }};
  const auto seconds = interleaved_seconds(tasks, 3, 0, "testing");
  EXPECT_EQ(order, "abababab");  // one round is not timed
  EXPECT_EQ(seconds.size(), 2u);
  EXPECT_EQ(seconds[0].size(), 3u);
  // A spent budget ends the rounds, but not before the least number of them.
  EXPECT_EQ(interleaved_seconds(tasks, 1000, 0, "testing")[1].size(), static_cast<std::size_t>(kLeastRounds));
}

}  // namespace
}  // namespace slopewise
