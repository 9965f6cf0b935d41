// Low-rank tangents: V = U Wᵀ/√r for each weight matrix, U and W with r columns of standard normal entries; W may be
// kept for several steps. What is no matrix, biases among it, gets independent standard normal entries. With W kept for
// ν steps these are the perturbations of LOZO (Chen et al. 2024, arXiv 2410.07698) over √r; with a new W in every step
// those of EGGROLL (Sarkar et al. 2025, arXiv 2511.16652).
//
// Given W a row of V is normal with the covariance C = WWᵀ/r, and E[C_ab C_cd] = δ_ab δ_cd + (δ_ac δ_bd + δ_ad δ_bc)/r.
// With E[s² V_ij² | W] = tr(G C Gᵀ) C_jj + 2 (G C)_ij² (Wick) that gives, in the matrix G of entry (i, j),
//   V[g_ij] = ‖∇‖² + (2/r)(‖G_i·‖² + ‖G_·j‖²) + (1 + 2/r) G_ij²,
// and by tr(G C Gᵀ) slopes of kurtosis 3 + (6/r) ‖GGᵀ‖²/‖G‖⁴ ≤ 3 (1 + 2/r).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/probe/draw_of.hpp"
#include "slopewise/probe/entries.hpp"
#include "slopewise/probe/laws.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

constexpr Index kMostRank = 1024;
constexpr std::uint64_t kKeptFactors = 0x6B657074, kVectors = 0x76656374;

// A weight alone: its bias is a vector.
bool has_factors(const Block& block) {
  return block.columns > 1;
}

class LowRankDraw final : public DrawOf<LowRankDraw> {
 public:
  LowRankDraw(const ParameterLayout& layout, Index count, const LawOptions& options, std::uint64_t seed,
              std::uint32_t step)
      : DrawOf(layout, count), rank_(options.rank), vector_seed_(derive_seed(seed, kVectors)), step_(step) {
    const std::uint32_t period = step / static_cast<std::uint32_t>(options.hold);
    for (Index k = 0; k < count; ++k) {
      const auto stream = static_cast<std::uint32_t>(k);
      const RandomKey fresh{.seed = seed, .step = step, .stream = stream};
      const RandomKey kept{.seed = derive_seed(seed, kKeptFactors), .step = period, .stream = stream};
      Index left = 0, right = 0;
      for (const Block& block : layout.blocks) {
        left_.push_back(factor(fresh, left, has_factors(block) ? block.rows : 0));
        right_.push_back(factor(kept, right, has_factors(block) ? block.columns : 0));
      }
    }
  }

  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    const Index end = first + static_cast<Index>(out.size());
    for (std::size_t s = 0; s < layout().segments.size(); ++s) {
      const Segment& segment = layout().segments[s];
      const Index begin = std::max(first, segment.offset), last = std::min(end, segment.offset + segment.size());
      if (begin >= last) continue;
      const std::span<T> to =
          out.subspan(static_cast<std::size_t>(begin - first), static_cast<std::size_t>(last - begin));
      const Block& block = layout().blocks[segment.block];
      if (has_factors(block) && static_cast<Index>(s) == block.weight) {
        matrix_entries(k, block, begin - segment.offset, to);
      } else {
        vector_entries(k, begin, to);
      }
    }
  }

 private:
  // r columns, each of `rows` entries; `at` is where they begin in the stream, and then where the next ones may.
  std::vector<float> factor(const RandomKey& key, Index& at, Index rows) const {
    std::vector<float> entries(static_cast<std::size_t>(rank_ * rows));
    fill_entries(Entries::kGaussian, key, at, std::span(entries));
    at += round_up(rank_ * rows, kGaussianGroup);
    return entries;
  }
  std::size_t number(const Block& block) const {
    return static_cast<std::size_t>(layout().segments[block.weight].block);
  }
  const std::vector<float>& left(Index k, const Block& block) const {
    return left_[static_cast<std::size_t>(k) * layout().blocks.size() + number(block)];
  }
  const std::vector<float>& right(Index k, const Block& block) const {
    return right_[static_cast<std::size_t>(k) * layout().blocks.size() + number(block)];
  }

  template <class T>
  void matrix_entries(Index k, const Block& block, Index first, std::span<T> out) const {
    const std::vector<float>&u = left(k, block), &w = right(k, block);
    const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(rank_)));
    std::ranges::fill(out, T{0});
    for (Index done = 0; done < static_cast<Index>(out.size());) {
      const Index row = (first + done) / block.columns, column = (first + done) % block.columns;
      const Index run = std::min(block.columns - column, static_cast<Index>(out.size()) - done);
      for (Index a = 0; a < rank_; ++a) {
        const T c = scale * static_cast<T>(u[a * block.rows + row]);
        const float* from = w.data() + a * block.columns + column;
        T* to = out.data() + done;
        for (Index j = 0; j < run; ++j) to[j] += c * static_cast<T>(from[j]);
      }
      done += run;
    }
  }
  template <class T>
  void vector_entries(Index k, Index first, std::span<T> out) const {
    fill_entries(Entries::kGaussian, {.seed = vector_seed_, .step = step_, .stream = static_cast<std::uint32_t>(k)},
                 first, out);
  }

  Index rank_;
  std::uint64_t vector_seed_;
  std::uint32_t step_;
  std::vector<std::vector<float>> left_, right_;  // one a (tangent, block): (r, rows) and (r, columns)
};

class LowRankProbe final : public Probe {
 public:
  LowRankProbe(const ParameterLayout& layout, std::uint64_t seed, const LawOptions& options)
      : Probe(layout, seed), options_(options) {
    if (options.rank < 1 || options.rank > kMostRank)
      throw ArgumentError(fmt::format("low-rank: rank: expected 1 to {}, found {}", kMostRank, options.rank));
    if (options.hold < 1 || options.hold > kMostTangents)
      throw ArgumentError(fmt::format("low-rank: hold: expected at least 1 step, found {}", options.hold));
  }
  std::string_view name() const override { return "low-rank"; }
  bool quick_to_draw() const override { return true; }
  Index draw_bytes() const override {
    Index entries = 0;
    for (const Block& block : layout().blocks) {
      if (has_factors(block)) entries += options_.rank * (block.rows + block.columns);
    }
    return entries * Index{sizeof(float)};
  }
  std::shared_ptr<const Draw> draw(std::uint32_t step, Index count) const override {
    check_count(count);
    return std::make_shared<LowRankDraw>(layout(), count, options_, seed(), step);
  }

  double entry_variance(const GradientView& gradient, Index i, Index count) const override {
    const double square = gradient[i] * gradient[i];
    double variance = gradient.squared_norm() + square;
    const auto& segments = layout().segments;
    const auto segment =
        std::ranges::find_if(segments, [&](const Segment& each) { return i < each.offset + each.size(); });
    const Block& block = layout().blocks[segment->block];
    if (has_factors(block) && segment - segments.begin() == block.weight) {
      double row_and_column = gradient.row_and_column(i);  // the row with the bias's entry
      if (block.bias >= 0) {
        const double bias = gradient[segments[block.bias].offset + (i - segment->offset) / block.columns];
        row_and_column -= bias * bias;
      }
      variance += 2 / rank() * (row_and_column + square);
    }
    return variance / static_cast<double>(count);
  }
  // The sum of those: a p × q matrix adds ((2 p + 2 q + 2)/r + 1) ‖G‖² to n ‖∇‖², a vector its own ‖g‖².
  double total_variance(const GradientView& gradient, Index count) const override {
    double total = static_cast<double>(layout().size) * gradient.squared_norm();
    for (std::size_t s = 0; s < layout().segments.size(); ++s) {
      const Segment& segment = layout().segments[s];
      const auto values =
          gradient.values().subspan(static_cast<std::size_t>(segment.offset), static_cast<std::size_t>(segment.size()));
      total += excess(s) * dot(values.data(), values.data(), segment.size());
    }
    return total / static_cast<double>(count);
  }
  SnrRange snr(Index count) const override {
    const auto n = static_cast<double>(layout().size), k = static_cast<double>(count);
    double least = excess(0), most = least;
    for (std::size_t s = 0; s < layout().segments.size(); ++s) {
      least = std::min(least, excess(s));
      most = std::max(most, excess(s));
    }
    return {k / (n + most), k / (n + least)};
  }
  double slope_kurtosis() const override { return 3 * (1 + 2 / rank()); }

 private:
  double rank() const { return static_cast<double>(options_.rank); }
  double excess(std::size_t segment) const {
    const Block& block = layout().blocks[layout().segments[segment].block];
    if (!has_factors(block) || static_cast<Index>(segment) != block.weight) return 1;
    return static_cast<double>(2 * (block.rows + block.columns + 1)) / rank() + 1;
  }
  LawOptions options_;
};

}  // namespace

std::shared_ptr<const Probe> low_rank_probe(const ParameterLayout& layout, std::uint64_t seed,
                                            const LawOptions& options) {
  return std::make_shared<LowRankProbe>(layout, seed, options);
}

}  // namespace slopewise
