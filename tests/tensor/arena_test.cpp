#include "slopewise/tensor/arena.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "slopewise/base/philox.hpp"

namespace slopewise {
namespace {

bool together(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

Index padded(Index size, Index alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

// What must hold of every plan.
void check(const std::vector<Lifetime>& lifetimes, Index alignment) {
  const ArenaPlan plan = plan_arena(lifetimes, alignment);
  ASSERT_EQ(plan.offsets.size(), lifetimes.size());
  Index sum = 0;
  Index largest = 0;  // sum of the sizes alive at one time
  for (std::size_t i = 0; i < lifetimes.size(); ++i) {
    EXPECT_GE(plan.offsets[i], 0);
    EXPECT_EQ(plan.offsets[i] % alignment, 0);
    EXPECT_LE(plan.offsets[i] + lifetimes[i].size, plan.size);
    sum += padded(lifetimes[i].size, alignment);
    Index alive = 0;
    for (std::size_t j = 0; j < lifetimes.size(); ++j) {
      if (lifetimes[j].first <= lifetimes[i].first && lifetimes[i].first <= lifetimes[j].last)
        alive += padded(lifetimes[j].size, alignment);
      if (j >= i || lifetimes[i].size == 0 || lifetimes[j].size == 0 || !together(lifetimes[i], lifetimes[j])) continue;
      EXPECT_TRUE(plan.offsets[i] + lifetimes[i].size <= plan.offsets[j] ||
                  plan.offsets[j] + lifetimes[j].size <= plan.offsets[i])
          << "lifetimes " << j << " and " << i << " overlap";
    }
    largest = std::max(largest, alive);
  }
  EXPECT_LE(plan.size, sum);
  EXPECT_GE(plan.size, largest);
}

TEST(Arena, RandomLifetimesNeverOverlap) {
  RandomStream random(11);
  for (int trial = 0; trial < 2000 && !testing::Test::HasFailure(); ++trial) {
    const Index alignment = Index{1} << random.below(6);
    const std::uint32_t times = 1 + random.below(20);
    std::vector<Lifetime> lifetimes(random.below(40));
    for (Lifetime& lifetime : lifetimes) {
      // Few sizes, so that ties and empty ones come.
      lifetime.size = random.below(2) == 0 ? Index{random.below(5)} * 16 : Index{random.below(1000)};
      lifetime.first = random.below(times);
      lifetime.last = lifetime.first + random.below(5);
    }
    check(lifetimes, alignment);
  }
}

TEST(Arena, NoLifetimesNeedNothing) {
  EXPECT_EQ(plan_arena({}, 16).size, 0);
  EXPECT_EQ(plan_arena({{.size = 0, .first = 0, .last = 9}}, 16).size, 0);
}

// A chain, each value read once by the next: two live at a time, whatever the length.
TEST(Arena, AChainNeedsTwoLinks) {
  std::vector<Lifetime> chain;
  for (Index i = 0; i < 50; ++i) chain.push_back({.size = 100, .first = i, .last = i + 1});
  EXPECT_EQ(plan_arena(chain, 1).size, 200);
  EXPECT_EQ(plan_arena(chain, 64).size, 256);
}

TEST(Arena, ASmallLifetimeFillsAGap) {
  // The two outer ones live throughout; between them lies what the second leaves when it ends.
  const std::vector<Lifetime> lifetimes{{.size = 100, .first = 0, .last = 9},
                                        {.size = 60, .first = 0, .last = 2},
                                        {.size = 50, .first = 0, .last = 9},
                                        {.size = 40, .first = 5, .last = 9}};
  const ArenaPlan plan = plan_arena(lifetimes, 1);
  EXPECT_EQ(plan.size, 210);
  EXPECT_EQ(plan.offsets[3], 100);
}

}  // namespace
}  // namespace slopewise
