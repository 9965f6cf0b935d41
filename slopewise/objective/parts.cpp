#include "slopewise/objective/parts.hpp"

#include <algorithm>
#include <variant>

namespace slopewise {

template <class T>
Tangents<T> some_tangents(const Tangents<T>& all, Index first, Index count) {
  Tangents<T> some(all.layout(), count, all.forms());
  for (std::size_t i = 0; i < all.forms().size(); ++i) {
    const Index number = static_cast<Index>(i);
    const Segment& segment = all.layout().segments[i];
    const Block& block = all.layout().blocks[segment.block];
    if (const T* dense = all.dense(number))
      std::copy_n(dense + first * segment.size(), count * segment.size(), some.dense(number));
    if (const RankOne<T> factors = all.rank_one(number); factors.left) {
      std::copy_n(factors.left + first * block.rows, count * block.rows, some.left(number, 0).data());
      std::copy_n(factors.right + first * block.columns, count * block.columns, some.right(number, 0).data());
    }
    if (const Drawn<T> drawn = all.drawn(number); drawn.fill) {
      some.set_fill(
          [fill = drawn.fill, first](Index k, Index from, std::span<T> out) { (*fill)(first + k, from, out); });
    }
  }
  return some;
}

template <class T>
Batch<T> some_rows(const Batch<T>& all, Index first, Index rows) {
  Batch<T> some{.rows = rows, .inputs = {}};
  for (const auto& input : all.inputs) {
    std::visit(
        [&](auto values) {
          const std::size_t each = values.size() / static_cast<std::size_t>(all.rows);
          some.inputs.emplace_back(
              values.subspan(static_cast<std::size_t>(first) * each, static_cast<std::size_t>(rows) * each));
        },
        input);
  }
  return some;
}

template Tangents<float> some_tangents(const Tangents<float>&, Index, Index);
template Tangents<double> some_tangents(const Tangents<double>&, Index, Index);
template Batch<float> some_rows(const Batch<float>&, Index, Index);
template Batch<double> some_rows(const Batch<double>&, Index, Index);

}  // namespace slopewise
