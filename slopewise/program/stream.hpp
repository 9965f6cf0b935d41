// The blocks of a program: where one value alone goes from what is below to what is above, and what lies between.
#pragma once

#include <vector>

#include "slopewise/program/program.hpp"
#include "slopewise/program/sites.hpp"

namespace slopewise {

// In a residual stream h_{l+1} = h_l + f_l(h_l), or norm(h_l + f_l(h_l)), a block is what repeats: one sum, or, where
// sums of several kinds take turns as in a transformer (attention, MLP), one of each. Where maps shrink, a block may
// change the shape. Without such sums a block is a layer.
struct Stream {
  // From the input up: block l lies between cuts[l] and cuts[l + 1]; what comes before the first cut is the stem, after
  // the last one the head. A cut is a node through which all goes that weights have a share in.
  std::vector<Index> cuts;
  bool residual = false;

  Index blocks() const { return cuts.empty() ? 0 : static_cast<Index>(cuts.size()) - 1; }
};

// Of what lies before the node `logits`. Whether weights train or are constants makes no difference.
Stream find_stream(const Program& program, Index logits);

// Sites of what lies below the last `blocks` blocks; above, the gradient is exact, from ActivitySites::head on. Throws
// ArgumentError for more blocks than there are, and where no program has blocks.
ActivitySites sites_below(const Program& program, const ActivitySites& sites, Index blocks);

// Whether each node is `node` or something that it is made of.
std::vector<bool> ancestors(const Program& program, Index node);

}  // namespace slopewise
