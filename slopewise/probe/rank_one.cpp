// Rank-one tangents: V = u wᵀ for each weight matrix, and no matrix is ever drawn or stored.
#include <algorithm>

#include "slopewise/base/threads.hpp"
#include "slopewise/probe/draw_of.hpp"
#include "slopewise/probe/entries.hpp"
#include "slopewise/probe/laws.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Rows of a weight matrix that one thread updates at a time.
constexpr Index kRowsAPiece = 64;

// Where a block's factors begin in the step's stream. Whole groups, so that factors are filled without cutting one.
struct FactorPlaces {
  std::vector<Index> left, right;  // one a block

  explicit FactorPlaces(const ParameterLayout& layout) {
    Index next = 0;
    const auto reserve = [&next](Index count) {
      const Index at = next;
      next += round_up(count, kRademacherGroup);
      return at;
    };
    for (const Block& block : layout.blocks) {
      left.push_back(reserve(block.rows));
      right.push_back(reserve(block.columns_with_bias()));
    }
  }
};

// A vector's tangent is its left factor alone.
bool is_matrix(const Block& block) {
  return block.columns_with_bias() > 1;
}

class RankOneDraw final : public DrawOfBlocks<RankOneDraw> {
 public:
  RankOneDraw(const ParameterLayout& layout, Index count, Entries law, std::uint64_t seed, std::uint32_t step)
      : DrawOfBlocks(layout, count) {
    const FactorPlaces places(layout);
    for (Index k = 0; k < count; ++k) {
      const RandomKey key{.seed = seed, .step = step, .stream = static_cast<std::uint32_t>(k)};
      for (std::size_t b = 0; b < layout.blocks.size(); ++b) {
        const Block& block = layout.blocks[b];
        left_.push_back(factor(law, key, places.left[b], block.rows));
        right_.push_back(is_matrix(block) ? factor(law, key, places.right[b], block.columns_with_bias())
                                          : std::vector<float>{1.0f});
      }
    }
  }

  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    for_runs(first, static_cast<Index>(out.size()), [&](std::size_t b, Index row, Index column, Index run, Index at) {
      const T u = static_cast<T>(left(k, b)[row]);
      const float* w = right(k, b).data() + column;
      T* to = out.data() + (at - first);
      for (Index j = 0; j < run; ++j) to[j] = u * static_cast<T>(w[j]);
    });
  }

  void write(Tangents<float>& out) const override { write_factors(out); }
  void write(Tangents<double>& out) const override { write_factors(out); }
  // Σ over the blocks of ‖u‖² ‖w‖².
  double squared_norm(Index k) const override {
    double total = 0;
    for (std::size_t b = 0; b < layout().blocks.size(); ++b) {
      double u = 0, w = 0;
      for (const float entry : left(k, b)) u += double{entry} * entry;
      for (const float entry : right(k, b)) w += double{entry} * entry;
      total += u * w;
    }
    return total;
  }

  // Each in one pass over the matrix for all K: W_i· += Σ_k c_k u_ki w_k. A null weight or bias is left out.
  template <class T>
  void add(std::span<const double> coefficients, const Block& block, T* weight, T* bias) const {
    const std::size_t b = number(block);
    std::vector<std::vector<T>> rights;
    for (Index k = 0; k < count(); ++k) rights.emplace_back(right(k, b).begin(), right(k, b).end());
    parallel_for((block.rows + kRowsAPiece - 1) / kRowsAPiece, [&](Index piece) {
      for (Index i = piece * kRowsAPiece; i < std::min(block.rows, (piece + 1) * kRowsAPiece); ++i) {
        for (Index k = 0; k < count(); ++k) {
          if (coefficients[k] == 0) continue;
          const T c = static_cast<T>(coefficients[k]) * static_cast<T>(left(k, b)[i]);
          const std::vector<T>& w = rights[k];
          if (weight) axpy(c, w.data(), weight + i * block.columns, block.columns);
          if (bias) bias[i] += c * w.back();
        }
      }
    });
  }
  void add(std::span<const double> coefficients, const Block& block, WeightProduct& weight, float* bias) const {
    std::vector<float> lefts, rights;  // c_k u_k and w_k, (K, rows) and (K, columns)
    const std::size_t b = number(block);
    Index used = 0;
    for (Index k = 0; k < count(); ++k) {
      if (coefficients[k] == 0) continue;
      ++used;
      for (const float entry : left(k, b)) lefts.push_back(static_cast<float>(coefficients[k]) * entry);
      rights.insert(rights.end(), right(k, b).begin(), right(k, b).begin() + block.columns);
    }
    weight.add_rank_one(used, {.left = lefts.data(), .right = rights.data()});
    if (bias) add(coefficients, block, static_cast<float*>(nullptr), bias);
  }

 private:
  std::size_t number(const Block& block) const {
    return static_cast<std::size_t>(layout().segments[block.weight].block);
  }
  static std::vector<float> factor(Entries law, const RandomKey& key, Index first, Index count) {
    std::vector<float> entries(static_cast<std::size_t>(count));
    fill_entries(law, key, first, entries);
    return entries;
  }
  const std::vector<float>& left(Index k, std::size_t block) const {
    return left_[static_cast<std::size_t>(k) * layout().blocks.size() + block];
  }
  const std::vector<float>& right(Index k, std::size_t block) const {
    return right_[static_cast<std::size_t>(k) * layout().blocks.size() + block];
  }

  // Calls visit(row of the block, first column, entries, offset into θ) for each run of [first, first + count) that
  // lies in one row of one block.
  template <class F>
  void for_runs(Index first, Index count, F visit) const {
    const ParameterLayout& all = layout();
    for (const Segment& segment : all.segments) {
      const Index begin = std::max(first, segment.offset);
      const Index end = std::min(first + count, segment.offset + segment.size());
      const auto b = static_cast<std::size_t>(segment.block);
      const Block& block = all.blocks[b];
      const bool is_bias = block.bias >= 0 && &segment == &all.segments[block.bias];
      const Index width = is_bias ? 1 : block.columns;
      for (Index i = begin; i < end;) {
        const Index row = (i - segment.offset) / width;
        const Index column = (i - segment.offset) % width;
        const Index run = std::min(width - column, end - i);
        visit(b, row, is_bias ? block.columns : column, run, i);
        i += run;
      }
    }
  }

  template <class T>
  void write_factors(Tangents<T>& out) const {
    for (std::size_t b = 0; b < layout().blocks.size(); ++b) {
      const Block& block = layout().blocks[b];
      for (Index k = 0; k < count(); ++k) {
        if (is_matrix(block)) {
          std::copy(left(k, b).begin(), left(k, b).end(), out.left(block.weight, k).begin());
          std::copy_n(right(k, b).begin(), block.columns, out.right(block.weight, k).begin());
        } else {
          std::copy(left(k, b).begin(), left(k, b).end(), out.dense(block.weight) + k * block.rows);
        }
        if (block.bias < 0) continue;
        const T last = static_cast<T>(right(k, b).back());
        T* bias = out.dense(block.bias) + k * block.rows;
        for (Index i = 0; i < block.rows; ++i) bias[i] = last * static_cast<T>(left(k, b)[i]);
      }
    }
  }

  std::vector<std::vector<float>> left_, right_;  // one a (tangent, block)
};

class RankOneProbe final : public Probe {
 public:
  RankOneProbe(const ParameterLayout& layout, std::uint64_t seed, Entries law) : Probe(layout, seed), law_(law) {}
  std::string_view name() const override { return law_ == Entries::kRademacher ? "rank-one" : "rank-one-gaussian"; }
  std::vector<TangentForm> forms() const override {
    std::vector<TangentForm> forms = Probe::forms();
    for (const Block& block : layout().blocks) {
      if (is_matrix(block)) forms[block.weight] = TangentForm::kRankOne;
    }
    return forms;
  }
  Index draw_bytes() const override {
    Index entries = 0;
    for (const Block& block : layout().blocks) entries += block.rows + block.columns_with_bias();
    return entries * Index{sizeof(float)};
  }
  std::shared_ptr<const Draw> draw(std::uint32_t step, Index count) const override {
    check_count(count);
    return std::make_shared<RankOneDraw>(layout(), count, law_, seed(), step);
  }

  // Rademacher factors: dense Rademacher's ‖∇‖² − ∇_i², as v_i² = 1. Gaussian factors, in the matrix G of entry i:
  // ‖∇‖² + 2 ‖G_r·‖² + 2 ‖G_·c‖² + 3 G_rc²; a vector's, dense Gaussian's.
  double entry_variance(const GradientView& gradient, Index i, Index count) const override {
    const double square = gradient[i] * gradient[i];
    double variance = gradient.squared_norm();
    if (law_ == Entries::kRademacher) {
      variance -= square;
    } else if (in_matrix(i)) {
      variance += 2 * gradient.row_and_column(i) + 3 * square;
    } else {
      variance += square;
    }
    return variance / static_cast<double>(count);
  }
  // The sum of those: a p × q matrix adds (2 p + 2 q + 3) ‖G‖² to n ‖∇‖², a vector its own ‖G‖².
  double total_variance(const GradientView& gradient, Index count) const override {
    double total = static_cast<double>(layout().size) * gradient.squared_norm();
    if (law_ == Entries::kRademacher) {
      total -= gradient.squared_norm();
    } else {
      for (std::size_t b = 0; b < layout().blocks.size(); ++b) {
        total += excess(layout().blocks[b]) * gradient.block_squared_norm(static_cast<Index>(b));
      }
    }
    return total / static_cast<double>(count);
  }
  SnrRange snr(Index count) const override {
    const auto n = static_cast<double>(layout().size);
    const auto k = static_cast<double>(count);
    if (law_ == Entries::kRademacher) return {k / (n - 1), k / (n - 1)};
    double least = excess(layout().blocks.front());
    double most = least;
    for (const Block& block : layout().blocks) {
      least = std::min(least, excess(block));
      most = std::max(most, excess(block));
    }
    return {k / (n + most), k / (n + least)};
  }

  // uᵀ G w is at worst the product of two independent factors of kurtosis at most 3: 9 (theory.md: 3 + 6 ‖GGᵀ‖²/‖∇‖⁴).
  double slope_kurtosis() const override { return 9; }

 private:
  static double excess(const Block& block) {
    return is_matrix(block) ? static_cast<double>(2 * block.rows + 2 * block.columns_with_bias() + 3) : 1;
  }
  bool in_matrix(Index i) const {
    for (const Segment& segment : layout().segments) {
      if (i < segment.offset + segment.size()) return is_matrix(layout().blocks[segment.block]);
    }
    return false;
  }
  Entries law_;
};

}  // namespace

std::shared_ptr<const Probe> rank_one_rademacher_probe(const ParameterLayout& layout, std::uint64_t seed) {
  return std::make_shared<RankOneProbe>(layout, seed, Entries::kRademacher);
}
std::shared_ptr<const Probe> rank_one_gaussian_probe(const ParameterLayout& layout, std::uint64_t seed) {
  return std::make_shared<RankOneProbe>(layout, seed, Entries::kGaussian);
}

}  // namespace slopewise
