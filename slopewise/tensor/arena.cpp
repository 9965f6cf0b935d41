#include "slopewise/tensor/arena.hpp"

#include <algorithm>
#include <numeric>

namespace slopewise {

ArenaPlan plan_arena(const std::vector<Lifetime>& lifetimes, Index alignment) {
  const auto padded = [&](std::size_t i) { return (lifetimes[i].size + alignment - 1) / alignment * alignment; };
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lifetimes[a].size > lifetimes[b].size; });

  ArenaPlan plan{.offsets = std::vector<Index>(lifetimes.size(), 0), .size = 0};
  std::vector<std::size_t> placed;  // by increasing offset
  for (const std::size_t i : order) {
    if (lifetimes[i].size == 0) continue;
    Index offset = 0;
    for (const std::size_t other : placed) {
      const bool together = lifetimes[i].first <= lifetimes[other].last && lifetimes[other].first <= lifetimes[i].last;
      if (!together) continue;
      if (offset + padded(i) <= plan.offsets[other]) break;  // fits below this one
      offset = std::max(offset, plan.offsets[other] + padded(other));
    }
    plan.offsets[i] = offset;
    plan.size = std::max(plan.size, offset + padded(i));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                   [&](std::size_t a, std::size_t b) { return plan.offsets[a] < plan.offsets[b]; }),
                  i);
  }
  return plan;
}

}  // namespace slopewise
