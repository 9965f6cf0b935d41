#include "slopewise/tensor/arena.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <new>
#include <numeric>

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

// The greedy placement by its definition: each lifetime, largest first, at the lowest offset where it overlaps none of
// those placed before it.
std::vector<Index> placed_one_by_one(const std::vector<Lifetime>& lifetimes) {
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return lifetimes[i].size; });
  std::vector<Index> offsets(lifetimes.size());
  std::vector<std::size_t> placed;
  for (const std::size_t i : order) {
    std::ranges::sort(placed, {}, [&](std::size_t j) { return offsets[j]; });
    for (const std::size_t j : placed) {
      if (!together(lifetimes[i], lifetimes[j])) continue;
      if (offsets[i] + lifetimes[i].size <= offsets[j]) break;
      offsets[i] = std::max(offsets[i], offsets[j] + lifetimes[j].size);
    }
    placed.push_back(i);
  }
  return offsets;
}

// More than are searched one by one: of short lives, of long ones, and nested as a pullback's are.
TEST(Arena, ManyLifetimesLieWhereTheyWouldOneByOne) {
  RandomStream random(12);
  for (const std::uint32_t longest : {3u, 40u, 2000u}) {
    for (const std::uint32_t sizes : {1u, 5u, 1000u}) {
      std::vector<Lifetime> lifetimes(1500);
      for (Lifetime& lifetime : lifetimes) {
        lifetime.size = 1 + random.below(sizes);
        lifetime.first = random.below(2000);
        lifetime.last = lifetime.first + random.below(longest);
      }
      EXPECT_EQ(plan_arena(lifetimes, 1).offsets, placed_one_by_one(lifetimes)) << longest << " " << sizes;
      for (std::size_t i = 0; i < lifetimes.size(); ++i) {
        lifetimes[i].first = static_cast<Index>(i);
        lifetimes[i].last = i % 3 == 0 ? static_cast<Index>(i) : 4000 - static_cast<Index>(i);
      }
      EXPECT_EQ(plan_arena(lifetimes, 1).offsets, placed_one_by_one(lifetimes)) << "nested, " << sizes;
    }
  }
}

TEST(Arena, WhatNoMemoryReachesIsRefused) {
  constexpr Index kMost = std::numeric_limits<Index>::max();
  EXPECT_THROW(plan_arena({{.size = kMost - 5, .first = 0, .last = 9}}, 16), std::bad_alloc);
  const Lifetime half{.size = kMost / 2 + 2, .first = 0, .last = 9};
  EXPECT_THROW(plan_arena({half, half}, 1), std::bad_alloc);
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
