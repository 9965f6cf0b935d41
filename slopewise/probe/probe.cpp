#include "slopewise/probe/probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Tangents are made and used in tiles of this many entries: a whole number of random groups, within the first-level
// cache.
constexpr Index kTile = 4096;
// Tiles one thread takes at a time.
constexpr Index kTilesAPiece = 8;

struct Place {
  Index row, column;
};

// Where entry i of θ lies in its block's matrix.
Place place_in_block(const ParameterLayout& layout, const Segment& segment, Index i) {
  const Block& block = layout.blocks[segment.block];
  const Index inside = i - segment.offset;
  const bool is_bias = block.bias >= 0 && &segment == &layout.segments[block.bias];
  return is_bias ? Place{inside, block.columns} : Place{inside / block.columns, inside % block.columns};
}

const Segment& segment_of(const ParameterLayout& layout, Index i) {
  const auto after = std::upper_bound(layout.segments.begin(), layout.segments.end(), i,
                                      [](Index index, const Segment& segment) { return index < segment.offset; });
  return *(after - 1);
}

// Calls body(first, count) for the tiles of [0, n), pieces of them in parallel.
template <class F>
void for_tiles(Index n, F body) {
  const Index piece = kTile * kTilesAPiece;
  parallel_for((n + piece - 1) / piece, [&](Index p) {
    for (Index first = p * piece; first < std::min(n, (p + 1) * piece); first += kTile)
      body(first, std::min(kTile, n - first));
  });
}

}  // namespace

GradientView::GradientView(const ParameterLayout& layout, std::span<const double> gradient)
    : layout_(layout), gradient_(gradient) {
  if (static_cast<Index>(gradient.size()) != layout.size) {
    throw ShapeError(fmt::format("gradient: expected {} entries, found {}", layout.size, gradient.size()));
  }
  for (const Block& block : layout_.blocks) {
    rows_.emplace_back(static_cast<std::size_t>(block.rows), 0.0);
    columns_.emplace_back(static_cast<std::size_t>(block.columns_with_bias()), 0.0);
    block_norms_.push_back(0);
  }
  for (const Segment& segment : layout_.segments) {
    const auto block = static_cast<std::size_t>(segment.block);
    for (Index i = segment.offset; i < segment.offset + segment.size(); ++i) {
      const double square = (*this)[i] * (*this)[i];
      const Place place = place_in_block(layout_, segment, i);
      rows_[block][place.row] += square;
      columns_[block][place.column] += square;
    }
  }
  for (std::size_t block = 0; block < rows_.size(); ++block) {
    for (const double row : rows_[block]) block_norms_[block] += row;
    squared_norm_ += block_norms_[block];
  }
}

double GradientView::row_and_column(Index i) const {
  const Segment& segment = segment_of(layout_, i);
  const auto block = static_cast<std::size_t>(segment.block);
  const Place place = place_in_block(layout_, segment, i);
  return rows_[block][place.row] + columns_[block][place.column];
}

template <class T>
void Draw::write_dense(Tangents<T>& out) const {
  for (std::size_t i = 0; i < layout_.segments.size(); ++i) {
    const Segment& segment = layout_.segments[i];
    if (out.forms()[i] == TangentForm::kDrawn) {
      out.set_fill([this](Index k, Index first, std::span<T> entries) { fill(k, first, entries); });
      continue;
    }
    for (Index k = 0; k < count_; ++k) {
      T* to = out.dense(static_cast<Index>(i)) + k * segment.size();
      for_tiles(segment.size(), [&](Index first, Index size) {
        fill(k, segment.offset + first, std::span<T>(to + first, static_cast<std::size_t>(size)));
      });
    }
  }
}

void Draw::write(Tangents<float>& out) const {
  write_dense(out);
}
void Draw::write(Tangents<double>& out) const {
  write_dense(out);
}
void Draw::require_sizes(std::size_t coefficients, std::size_t parameters) const {
  if (static_cast<Index>(coefficients) != count_ || static_cast<Index>(parameters) < layout_.size) {
    throw ShapeError(fmt::format("add_to: expected {} coefficients and at least {} parameters, found {} and {}", count_,
                                 layout_.size, coefficients, parameters));
  }
}

template <class T>
void Draw::add_segment(std::span<const double> coefficients, Index number, T* values) const {
  const Segment& segment = layout_.segments[number];
  for_tiles(segment.size(), [&](Index first, Index size) {
    std::array<T, kTile> tile;
    for (Index k = 0; k < count_; ++k) {
      if (coefficients[k] == 0) continue;
      fill(k, segment.offset + first, std::span<T>(tile.data(), static_cast<std::size_t>(size)));
      axpy(static_cast<T>(coefficients[k]), tile.data(), values + first, size);
    }
  });
}

void Draw::add_block(std::span<const double> coefficients, const Block& block, float* weight, float* bias) const {
  add_segment(coefficients, block.weight, weight);
  if (bias) add_segment(coefficients, block.bias, bias);
}
void Draw::add_block(std::span<const double> coefficients, const Block& block, double* weight, double* bias) const {
  add_segment(coefficients, block.weight, weight);
  if (bias) add_segment(coefficients, block.bias, bias);
}
void Draw::add_block(std::span<const double> coefficients, const Block& block, WeightProduct& weight,
                     float* bias) const {
  const Index offset = layout_.segments[block.weight].offset;
  std::vector<float> factors;
  std::vector<Index> drawn;
  for (Index k = 0; k < count_; ++k) {
    if (coefficients[k] == 0) continue;
    factors.push_back(static_cast<float>(coefficients[k]));
    drawn.push_back(k);
  }
  weight.add(factors, [&](Index i, Index first, Index rows, float* to) {
    fill(drawn[i], offset + first * block.columns, {to, static_cast<std::size_t>(rows * block.columns)});
    return static_cast<const float*>(to);
  });
  if (bias) add_segment(coefficients, block.bias, bias);
}

template <class T>
void Draw::add_flat(std::span<const double> coefficients, std::span<T> theta) const {
  require_sizes(coefficients.size(), theta.size());
  const auto at = [&](Index segment) { return theta.data() + layout_.segments[segment].offset; };
  for (const Block& block : layout_.blocks) {
    add_block(coefficients, block, at(block.weight), block.bias >= 0 ? at(block.bias) : nullptr);
  }
}
void Draw::add_to(std::span<const double> coefficients, std::span<float> theta) const {
  add_flat(coefficients, theta);
}
void Draw::add_to(std::span<const double> coefficients, std::span<double> theta) const {
  add_flat(coefficients, theta);
}
void Draw::add_to(std::span<const double> coefficients, Parameters<double>& theta) const {
  add_flat(coefficients, theta.edit());
}
void Draw::add_to(std::span<const double> coefficients, Parameters<float>& theta) const {
  require_sizes(coefficients.size(), static_cast<std::size_t>(theta.size()));
  const auto flat = [&](Index number) {
    const Segment& segment = layout_.segments[number];
    return theta.edit(segment.offset, segment.size()).data();
  };
  for (const Block& block : layout_.blocks) {
    const Index offset = layout_.segments[block.weight].offset;
    float* bias = block.bias >= 0 ? flat(block.bias) : nullptr;
    if (WeightProduct* packed = theta.edit_packed(offset, block.rows, block.columns)) {
      add_block(coefficients, block, *packed, bias);
    } else {
      add_block(coefficients, block, flat(block.weight), bias);
    }
  }
}

// Σ over the tiles of term(first, the tangent's entries from there on), in their order.
template <class Term>
double Draw::sum_over_tiles(Index k, Term term) const {
  std::vector<double> sums(static_cast<std::size_t>((layout_.size + kTile - 1) / kTile));
  for_tiles(layout_.size, [&](Index first, Index size) {
    std::array<double, kTile> tile;
    const std::span<double> entries(tile.data(), static_cast<std::size_t>(size));
    fill(k, first, entries);
    sums[first / kTile] = term(first, entries);
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

double Draw::slope(Index k, std::span<const double> x) const {
  if (static_cast<Index>(x.size()) != layout_.size)
    throw ShapeError(fmt::format("slope: expected a vector of {} entries, found {}", layout_.size, x.size()));
  return sum_over_tiles(k, [&](Index first, std::span<const double> v) {
    return dot(v.data(), x.data() + first, static_cast<Index>(v.size()));
  });
}

double Draw::squared_norm(Index k) const {
  return sum_over_tiles(
      k, [](Index, std::span<const double> v) { return dot(v.data(), v.data(), static_cast<Index>(v.size())); });
}

void Probe::check_count(Index count) const {
  if (count < 1 || count > most_tangents()) {
    throw ArgumentError(fmt::format("{}: expected 1 to {} tangents, found {}", name(), most_tangents(), count));
  }
}

std::vector<TangentForm> Probe::forms() const {
  return std::vector<TangentForm>(layout_.segments.size(), TangentForm::kDense);
}

}  // namespace slopewise
