#include "slopewise/program/timeline.hpp"

#include <algorithm>
#include <cstddef>

namespace slopewise {

Timeline::Timeline(const std::vector<Index>& groups, Index ahead)
    : group(static_cast<std::size_t>(groups.back())),
      replay(group.size()),
      backward(group.size()),
      first_pull(groups.size()),
      last_group_(groups.size() - 2) {
  Index time = groups.back();
  const auto make_again = [&](std::size_t g) {
    for (Index i = groups[g]; i < groups[g + 1]; ++i) {
      group[i] = g;
      replay[i] = time++;
    }
  };
  const auto pull = [&](std::size_t g) {
    for (Index i = groups[g + 1] - 1; i >= groups[g]; --i) backward[i] = time++;
  };
  const bool stream = ahead >= 0;
  for (std::size_t g = last_group_ + 1; g-- > 0;) {
    make_again(g);
    pull(g);
    if (stream) break;
  }
  for (std::size_t g = 0, made = 0; stream && g < last_group_; ++g) {
    const std::size_t fresh = made;
    for (; made < last_group_ && made <= g + static_cast<std::size_t>(ahead); ++made) make_again(made);
    std::fill(first_pull.begin() + static_cast<std::ptrdiff_t>(fresh),
              first_pull.begin() + static_cast<std::ptrdiff_t>(made), time++);
    pull(g);
  }
  end = time;
}

}  // namespace slopewise
