#include "slopewise/probe/pairs.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "slopewise/probe/draw_of.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

class PairSums final : public DrawOf<PairSums> {
 public:
  explicit PairSums(std::shared_ptr<const Draw> draw)
      : DrawOf(draw->layout(), draw->count() * (draw->count() + 1) / 2), draw_(std::move(draw)) {
    for (Index i = 0; i < draw_->count(); ++i) {
      for (Index j = i + 1; j < draw_->count(); ++j) pairs_.emplace_back(i, j);
    }
  }
  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    if (k < draw_->count()) return draw_->fill(k, first, out);
    const auto [i, j] = pairs_[k - draw_->count()];
    draw_->fill(i, first, out);
    std::array<T, 512> tile;
    for (std::size_t done = 0; done < out.size(); done += tile.size()) {
      const std::span<T> part = std::span(tile).first(std::min(tile.size(), out.size() - done));
      draw_->fill(j, first + static_cast<Index>(done), part);
      axpy(T{1}, part.data(), out.data() + done, static_cast<Index>(part.size()));
    }
  }

 private:
  std::shared_ptr<const Draw> draw_;
  std::vector<std::pair<Index, Index>> pairs_;
};

}  // namespace

std::shared_ptr<const Draw> with_pair_sums(std::shared_ptr<const Draw> draw) {
  return std::make_shared<PairSums>(std::move(draw));
}

}  // namespace slopewise
