#include "slopewise/data/batches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

std::vector<std::int64_t> epoch_of(const Batches& batches, std::int64_t epoch) {
  std::vector<std::int64_t> all;
  for (std::int64_t step = 0; step < batches.per_epoch(); ++step) {
    const auto batch = batches.indices(epoch * batches.per_epoch() + step);
    all.insert(all.end(), batch.begin(), batch.end());
  }
  return all;
}

TEST(Batches, CoverEachIndexOnceAnEpoch) {
  const Batches batches(60, 12, 5);
  EXPECT_EQ(batches.per_epoch(), 5);
  std::vector<std::int64_t> expected(60);
  std::iota(expected.begin(), expected.end(), 0);
  std::vector<std::int64_t> previous = expected;
  for (int epoch = 0; epoch < 4; ++epoch) {
    std::vector<std::int64_t> order = epoch_of(batches, epoch);
    EXPECT_NE(order, previous);
    previous = order;
    std::ranges::sort(order);
    EXPECT_EQ(order, expected);
  }
}

TEST(Batches, DropThePartialBatch) {
  const Batches batches(10, 4, 5);
  EXPECT_EQ(batches.per_epoch(), 2);
  std::vector<std::int64_t> order = epoch_of(batches, 0);
  std::ranges::sort(order);
  EXPECT_EQ(order.size(), 8u);
  EXPECT_EQ(std::ranges::adjacent_find(order), order.end());
  EXPECT_GE(order.front(), 0);
  EXPECT_LT(order.back(), 10);
}

TEST(Batches, DependOnSeedAndStepAlone) {
  const Batches forth(100, 7, 5), back(100, 7, 5), other(100, 7, 6);
  std::vector<std::vector<std::int64_t>> seen;
  for (std::int64_t step = 0; step < 40; ++step) seen.push_back(forth.indices(step));
  for (std::int64_t step = 40; step-- > 0;) EXPECT_EQ(back.indices(step), seen[step]);
  EXPECT_NE(other.indices(0), seen[0]);
}

// Each of the 6 orders of 3 indices over 6,000 epochs: χ² with 5 degrees of freedom passes 40 with probability 1.5e-7.
TEST(Batches, AllOrdersAreEquallyLikely) {
  const Batches batches(3, 3, 11);
  std::vector<int> counts(27);
  for (std::int64_t epoch = 0; epoch < 6000; ++epoch) {
    const auto order = batches.indices(epoch);
    ++counts[order[0] * 9 + order[1] * 3 + order[2]];
  }
  double chi2 = 0;
  int orders = 0;
  for (const int count : counts) {
    if (count == 0) continue;
    chi2 += (count - 1000.0) * (count - 1000.0) / 1000;
    ++orders;
  }
  EXPECT_EQ(orders, 6);
  EXPECT_LT(chi2, 40);
}

TEST(Batches, RejectsBadArguments) {
  EXPECT_THROW(Batches(10, 11, 1), ArgumentError);
  EXPECT_THROW(Batches(10, 0, 1), ArgumentError);
  EXPECT_THROW(Batches(0, 0, 1), ArgumentError);
  EXPECT_THROW(Batches(std::int64_t{1} << 32, 1, 1), ArgumentError);
  EXPECT_THROW(Batches(10, 2, 1).indices(-1), ArgumentError);
}

}  // namespace
}  // namespace slopewise
