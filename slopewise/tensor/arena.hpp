// Memory planned from liveness: values that are never alive together share the same bytes.
#pragma once

#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// Something that occupies `size` entries from time `first` to time `last`, both included.
struct Lifetime {
  Index size = 0;
  Index first = 0;
  Index last = 0;
};

struct ArenaPlan {
  std::vector<Index> offsets;  // one a lifetime, in entries
  Index size = 0;              // entries the arena needs
};

// Places every lifetime so that no two alive at the same time overlap; each offset is a multiple of `alignment`.
// Greedy by decreasing size into the lowest gap that fits (Pisarchyk and Lee 2020, arXiv 2001.03288, section 4).
ArenaPlan plan_arena(const std::vector<Lifetime>& lifetimes, Index alignment);

}  // namespace slopewise
