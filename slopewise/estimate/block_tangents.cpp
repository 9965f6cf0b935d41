#include "slopewise/estimate/block_tangents.hpp"

#include <algorithm>

#include "slopewise/probe/draw_of.hpp"

namespace slopewise::detail {
namespace {

// A block's segments, of which there are one or two, in the order of θ.
std::vector<Index> segments_of(const Block& block) {
  std::vector<Index> segments{block.weight};
  if (block.bias >= 0) segments.push_back(block.bias);
  return segments;
}

// The layout of one block alone; its segments come in the order of segments_of.
ParameterLayout layout_of(const ParameterLayout& layout, const Block& block) {
  ParameterLayout alone;
  const Segment& weight = layout.segments[block.weight];
  const Index number = alone.add(weight.name, weight.shape, weight.initializer, block.rows);
  if (block.bias >= 0) alone.add_bias(layout.segments[block.bias].name, number);
  return alone;
}

// Calls visit(offset in the block's own order, offset in θ, entries) for each segment of the block.
template <class F>
void for_segments(const ParameterLayout& layout, const Block& block, F visit) {
  Index inside = 0;
  for (const Index number : segments_of(block)) {
    const Segment& segment = layout.segments[number];
    visit(inside, segment.offset, segment.size());
    inside += segment.size();
  }
}

// The draws of all blocks as one, each zero outside its own.
class BlockDraw final : public DrawOfBlocks<BlockDraw> {
 public:
  BlockDraw(const ParameterLayout& layout, std::vector<std::shared_ptr<const Draw>> draws)
      : DrawOfBlocks(layout, static_cast<Index>(draws.size()) * draws.front()->count()), draws_(std::move(draws)) {}

  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    std::fill(out.begin(), out.end(), T{0});
    const Index each = draws_.front()->count();
    const auto b = static_cast<std::size_t>(k / each);
    const Index end = first + static_cast<Index>(out.size());
    for_segments(layout(), layout().blocks[b], [&](Index inside, Index offset, Index size) {
      const Index begin = std::max(first, offset), last = std::min(end, offset + size);
      if (begin >= last) return;
      draws_[b]->fill(k % each, inside + begin - offset,
                      out.subspan(static_cast<std::size_t>(begin - first), static_cast<std::size_t>(last - begin)));
    });
  }
  template <class Weight, class T>
  void add(std::span<const double> coefficients, const Block& block, Weight&& weight, T* bias) const {
    const auto b = static_cast<std::size_t>(layout().segments[block.weight].block);
    const auto each = static_cast<std::size_t>(draws_.front()->count());
    const Draw& draw = *draws_[b];
    draw.add_block(coefficients.subspan(b * each, each), draw.layout().blocks.front(), weight, bias);
  }

 private:
  std::vector<std::shared_ptr<const Draw>> draws_;
};

// Moves the tangents of one block to their place among those of all.
template <class T>
void place(const Tangents<T>& alone, const Block& block, Tangents<T>& whole) {
  Index inside = 0;
  for (const Index number : segments_of(block)) {
    const Segment& segment = alone.layout().segments[inside];
    if (const T* dense = alone.dense(inside)) {
      std::copy_n(dense, alone.count() * segment.size(), whole.dense(number));
    } else {
      const RankOne<T> factors = alone.rank_one(inside);
      for (Index k = 0; k < alone.count(); ++k) {
        std::copy_n(factors.left + k * block.rows, block.rows, whole.left(number, k).begin());
        std::copy_n(factors.right + k * block.columns, block.columns, whole.right(number, k).begin());
      }
    }
    ++inside;
  }
}

}  // namespace

template <class T>
BlockTangents<T>::BlockTangents(const ParameterLayout& layout, std::string_view law, Index count, std::uint64_t seed,
                                const LawOptions& options)
    : layout_(layout), count_(count) {
  for (std::size_t b = 0; b < layout.blocks.size(); ++b) {
    // A key of its own for each block: one key would draw the same tangents for blocks of one shape.
    const auto key = philox4x32({static_cast<std::uint32_t>(b), 0, 0, 0}, seed);
    const std::uint64_t block_seed = (std::uint64_t{key[0]} << 32) | key[1];
    probes_.push_back(make_probe(law, layout_of(layout, layout.blocks[b]), block_seed, options));
    probes_.back()->check_count(count);
  }
}

template <class T>
std::vector<double> BlockTangents<T>::part(Index b, std::span<const double> whole) const {
  std::vector<double> part;
  for_segments(layout_, layout_.blocks[b], [&](Index, Index offset, Index size) {
    part.insert(part.end(), whole.begin() + offset, whole.begin() + offset + size);
  });
  return part;
}

template <class T>
void BlockTangents<T>::put(Index b, std::span<const double> part, std::span<double> whole) const {
  for_segments(layout_, layout_.blocks[b], [&](Index inside, Index offset, Index size) {
    std::copy_n(part.begin() + inside, size, whole.begin() + offset);
  });
}

template <class T>
typename BlockTangents<T>::Step BlockTangents<T>::measure(Objective<T>& objective, const Parameters<T>& parameters,
                                                          std::uint32_t step) const {
  Slopes found;
  std::vector<std::shared_ptr<const Draw>> draws;
  for (std::size_t b = 0; b < probes_.size(); ++b) {
    const Probe& probe = *probes_[b];
    draws.push_back(probe.draw(step, count_));
    Tangents<T> alone(probe.layout(), count_, probe.forms());
    draws.back()->write(alone);
    std::vector<TangentForm> forms(layout_.segments.size(), TangentForm::kNone);
    const std::vector<Index> segments = segments_of(layout_.blocks[b]);
    for (std::size_t i = 0; i < segments.size(); ++i) forms[segments[i]] = alone.forms()[i];
    Tangents<T> whole(layout_, count_, std::move(forms));
    place(alone, layout_.blocks[b], whole);
    const Slopes slopes = objective.slopes(parameters, whole);
    found.loss = slopes.loss;
    found.slopes.insert(found.slopes.end(), slopes.slopes.begin(), slopes.slopes.end());
  }
  return {std::move(found), std::make_shared<BlockDraw>(layout_, std::move(draws))};
}

template <class T>
Demand BlockTangents<T>::demand(Objective<T>& objective) const {
  Demand demand;
  for (std::size_t b = 0; b < probes_.size(); ++b) {
    std::vector<TangentForm> forms(layout_.segments.size(), TangentForm::kNone);
    const std::vector<Index> segments = segments_of(layout_.blocks[b]);
    const std::vector<TangentForm> own = probes_[b]->forms();
    for (std::size_t i = 0; i < segments.size(); ++i) forms[segments[i]] = own[i];
    demand += objective.slopes_demand(forms, count_);
  }
  return demand;
}

template class BlockTangents<float>;
template class BlockTangents<double>;

}  // namespace slopewise::detail
