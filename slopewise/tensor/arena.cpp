#include "slopewise/tensor/arena.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <numeric>
#include <tuple>

namespace slopewise {
namespace {

// Past the end of something so large; std::bad_alloc where no memory reaches.
Index end_of(Index offset, Index size) {
  Index end = 0;
  if (__builtin_add_overflow(offset, size, &end)) throw std::bad_alloc();
  return end;
}

// What has been placed, from the lowest offset up, in pieces that say of all their entries at once what a search asks
// of one. So a search passes over a piece none of whose entries live at the time asked for, and one whose entries all
// do and leave no gap wide enough: along a chain of n values it looks into a few pieces instead of at n entries.
class Placed {
 public:
  // The lowest offset from which `size` entries are free from time `first` to time `last`.
  Index lowest(Index size, Index first, Index last) const {
    Index offset = 0;
    for (const Piece& piece : pieces_) {
      if (last < piece.earliest_first || piece.latest_last < first) continue;
      const bool all_alive = piece.latest_first <= last && first <= piece.earliest_last;
      if (all_alive && piece.widest_gap < size && piece.entries.front().offset < end_of(offset, size)) {
        offset = std::max(offset, piece.end);
        continue;
      }
      for (const Entry& entry : piece.entries) {
        if (last < entry.first || entry.last < first) continue;
        if (end_of(offset, size) <= entry.offset) return offset;
        offset = std::max(offset, entry.end);
      }
    }
    return offset;
  }

  void add(Index offset, Index size, Index first, Index last) {
    const Entry added{.offset = offset, .end = end_of(offset, size), .first = first, .last = last};
    if (pieces_.empty()) pieces_.emplace_back();
    auto piece = std::upper_bound(pieces_.begin() + 1, pieces_.end(), added,
                                  [](const Entry& e, const Piece& p) { return before(e, p.entries.front()); }) -
                 1;
    std::vector<Entry>& entries = piece->entries;
    entries.insert(std::upper_bound(entries.begin(), entries.end(), added, before), added);
    if (entries.size() == kLargestPiece) {
      Piece upper{.entries = {entries.begin() + kLargestPiece / 2, entries.end()}};
      entries.resize(kLargestPiece / 2);
      upper.summarize();
      piece = pieces_.insert(piece + 1, std::move(upper)) - 1;
    }
    piece->summarize();
  }

 private:
  static constexpr std::size_t kLargestPiece = 256;

  struct Entry {
    Index offset = 0, end = 0, first = 0, last = 0;
  };
  // By offset, and at the same one by time, so that a piece spans little of either.
  static bool before(const Entry& a, const Entry& b) {
    return std::tie(a.offset, a.first) < std::tie(b.offset, b.first);
  }
  struct Piece {
    std::vector<Entry> entries;
    Index earliest_first = 0, latest_first = 0, earliest_last = 0, latest_last = 0;
    Index end = 0;         // of the one that reaches furthest
    Index widest_gap = 0;  // that no entry covers, between the first offset and `end`

    void summarize() {
      earliest_first = earliest_last = std::numeric_limits<Index>::max();
      latest_first = latest_last = std::numeric_limits<Index>::min();
      end = entries.front().offset;
      widest_gap = 0;
      for (const Entry& entry : entries) {
        earliest_first = std::min(earliest_first, entry.first);
        latest_first = std::max(latest_first, entry.first);
        earliest_last = std::min(earliest_last, entry.last);
        latest_last = std::max(latest_last, entry.last);
        widest_gap = std::max(widest_gap, entry.offset - end);
        end = std::max(end, entry.end);
      }
    }
  };
  std::vector<Piece> pieces_;
};

}  // namespace

ArenaPlan plan_arena(const std::vector<Lifetime>& lifetimes, Index alignment) {
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lifetimes[a].size > lifetimes[b].size; });

  ArenaPlan plan{.offsets = std::vector<Index>(lifetimes.size(), 0), .size = 0};
  Placed placed;
  for (const std::size_t i : order) {
    const Lifetime& lifetime = lifetimes[i];
    if (lifetime.size == 0) continue;
    const Index size = end_of(lifetime.size, alignment - 1) / alignment * alignment;
    plan.offsets[i] = placed.lowest(size, lifetime.first, lifetime.last);
    plan.size = std::max(plan.size, end_of(plan.offsets[i], size));
    placed.add(plan.offsets[i], size, lifetime.first, lifetime.last);
  }
  return plan;
}

}  // namespace slopewise
