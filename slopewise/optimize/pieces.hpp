// Loops over the entries of θ, cut into pieces that do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/base/threads.hpp"

namespace slopewise::detail {

// Entries one visit takes: many enough to hide what a visit costs, few enough to share small models.
inline constexpr Index kPiece = 16384;

// Calls body(first, count) for each piece of [0, n), several at once.
template <class Body>
void for_pieces(Index n, Body body) {
  const auto piece = [&](Index p) { body(p * kPiece, std::min(kPiece, n - p * kPiece)); };
  // The same pieces come to the same threads in every step, and their entries may still be in cache there.
  parallel_for((n + kPiece - 1) / kPiece, piece, LoopSchedule::kStatic);
}

// Σ body(first, count) over the pieces, in their order.
template <class Body>
double sum_over_pieces(Index n, Body body) {
  std::vector<double> sums(static_cast<std::size_t>((n + kPiece - 1) / kPiece));
  for_pieces(n, [&](Index first, Index count) { sums[first / kPiece] = body(first, count); });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace slopewise::detail
