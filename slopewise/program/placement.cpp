#include "slopewise/program/placement.hpp"

#include <algorithm>
#include <new>

#include "slopewise/program/timeline.hpp"
#include "slopewise/tensor/arena.hpp"

namespace slopewise {
namespace {

// The product of three extents; std::bad_alloc for one that no memory holds.
Index entries(Index a, Index b, Index c) {
  Index product = 0;
  if (__builtin_mul_overflow(a, b, &product) || __builtin_mul_overflow(product, c, &product)) throw std::bad_alloc();
  return product;
}

class Placement {
 public:
  Placement(Plan& plan, const PlacementView& view)
      : plan_(plan),
        view_(view),
        count_(static_cast<Index>(plan.nodes.size())),
        times_(plan.groups, plan.workload.ahead) {}

  void run() {
    find_kept();
    find_last_reads();
    find_first_cotangents();
    for (Index i = 0; i < count_; ++i) {
      if (!node(i).used) continue;
      if (what(i).shared) {
        hold_for_the_run(i);
      } else if (home(i) == i) {
        reserve_in_tile(i);
      }
    }
    lay_out();
  }

 private:
  NodePlan& node(Index i) { return plan_.nodes[i]; }
  const GraphNode& what(Index i) const { return view_.program.node(i); }
  const std::vector<Index>& consumers(Index i) const { return view_.consumers[i]; }
  Index home(Index i) const { return view_.home[i]; }
  bool streams() const { return plan_.workload.ahead >= 0; }
  bool pulls() const { return plan_.workload.backward(); }
  bool in_last_group(Index i) const { return times_.group[i] == times_.last_group(); }
  bool kept(Index i) const { return kept_[home(i)]; }

  // What a later group reads, or somebody at the end, is kept from when it was first made; so is what shares its
  // memory.
  void find_kept() {
    kept_.assign(count_, false);
    for (Index i = 0; i < count_; ++i) {
      bool keep = in_last_group(i) || view_.read_at_end[i];
      for (const Index c : consumers(i)) keep = keep || (!streams() && times_.group[c] != times_.group[i]);
      if (keep) kept_[home(i)] = true;
    }
    for (Index i = 0; i < count_; ++i) {
      if (node(i).used) node(i).replayed = pulls() && !kept(i) && !what(i).shared && what(i).op;
    }
  }

  // The times at which a node's memory is last read: on the way forward, and afterwards.
  void find_last_reads() {
    last_.assign(count_, 0);
    last_again_.assign(count_, -1);
    for (Index i = 0; i < count_; ++i) {
      Index& forward = last_[home(i)];
      Index& again = last_again_[home(i)];
      forward = std::max(forward, i);
      if (view_.read_at_end[i]) again = times_.end;
      if (!node(i).used) continue;
      if (node(i).differentiated && what(i).op && what(i).op->needs().output)
        again = std::max(again, times_.backward[i]);
      for (const Index c : consumers(i)) {
        forward = std::max(forward, c);
        if (!kept(c)) again = std::max(again, times_.replay[c]);
        if (!node(c).differentiated || !what(c).op->needs().inputs) continue;
        // In a stream the last group reads what was made first.
        Index& read = streams() && in_last_group(c) && !in_last_group(i) ? forward : again;
        read = std::max(read, times_.backward[c]);
      }
    }
  }

  // The times from which on a node's cotangent is in memory.
  void find_first_cotangents() {
    first_cotangent_.assign(count_, times_.end);
    // Cotangents are given all at once, before the first of these nodes is differentiated.
    Index given_at = plan_.workload.error >= 0 ? times_.backward[plan_.workload.error] : times_.end;
    for (const Index cut : plan_.workload.cuts) given_at = std::min(given_at, times_.backward[cut]);
    for (Index i = 0; i < count_; ++i) {
      if (!node(i).used) continue;
      Index& first = first_cotangent_[home(i)];
      for (const Index c : consumers(i)) {
        if (node(c).differentiated && !node(i).cut) first = std::min(first, times_.backward[c]);
      }
      const bool early = streams() && plan_.workload.ahead > 0 && node(i).differentiated && !in_last_group(i);
      if (node(i).cut || early) first = std::min(first, streams() ? times_.first_pull[times_.group[i]] : given_at);
    }
  }

  // A node that depends on parameters alone, of which there is one row for all examples.
  void hold_for_the_run(Index i) {
    NodePlan& own = node(i);
    if (own.stored) own.offset = keep(entries(own.size, own.parts, 1));
    if (own.expanded) own.offset = keep(entries(own.size, plan_.workload.tangents, 1));
    if (own.stored && own.differentiated) own.cotangent_offset = keep(own.size);
    own.replay_offset = own.offset;
  }
  Index keep(Index size) {
    const Index offset = plan_.shared_arena;
    plan_.shared_arena += round_up(size, kPlanAlignment);
    return offset;
  }

  void reserve_in_tile(Index i) {
    NodePlan& own = node(i);
    const Index size = entries(own.size, own.parts, plan_.tile), read = last_[i], read_again = last_again_[i];
    if (own.stored && own.replayed) {
      const Index made_again = times_.replay[i];
      reserve(size, i, read, &own.offset);
      reserve(size, made_again, std::max(made_again, read_again), &own.replay_offset);
    } else if (own.stored) {
      reserve(size, i, std::max(read, read_again), &own.offset);
    }
    if (own.differentiated) {
      const Index last = times_.backward[i];
      reserve(entries(own.size, plan_.tile, 1), std::min(first_cotangent_[i], last), last, &own.cotangent_offset);
    }
  }
  void reserve(Index size, Index from, Index to, Index* at) {
    lifetimes_.push_back({size, from, to});
    places_.push_back(at);
  }

  void lay_out() {
    const ArenaPlan arena = plan_arena(lifetimes_, kPlanAlignment);
    for (std::size_t i = 0; i < places_.size(); ++i) *places_[i] = arena.offsets[i];
    plan_.arena = arena.size;
    for (Index i = 0; i < count_; ++i) {
      NodePlan& own = node(i);
      if (what(i).shared || !own.used) continue;
      if (!own.replayed) own.replay_offset = own.offset;
      own.offset = node(home(i)).offset;
      own.replay_offset = node(home(i)).replay_offset;
      if (what(i).op) own.cotangent_offset = node(home(i)).cotangent_offset;
    }
  }

  Plan& plan_;
  const PlacementView& view_;
  Index count_;
  Timeline times_;
  std::vector<bool> kept_;
  std::vector<Index> last_, last_again_, first_cotangent_;
  std::vector<Lifetime> lifetimes_;
  std::vector<Index*> places_;
};

}  // namespace

void place(Plan& plan, const PlacementView& view) {
  Placement(plan, view).run();
}

}  // namespace slopewise
