#include "slopewise/probe/factors.hpp"

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/probe/draw_of.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Rows of a weight matrix that one thread updates at a time.
constexpr Index kFactorRows = 64;

class FactorDraw final : public DrawOfBlocks<FactorDraw> {
 public:
  explicit FactorDraw(Tangents<float> tangents)
      : DrawOfBlocks(tangents.layout(), tangents.count()), tangents_(std::move(tangents)) {
    for (const TangentForm form : tangents_.forms()) {
      if (form != TangentForm::kDense && form != TangentForm::kRankOne)
        throw ArgumentError("factors: expected tangents that are held, dense or as factors");
    }
  }

  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    const Index end = first + static_cast<Index>(out.size());
    for (std::size_t s = 0; s < layout().segments.size(); ++s) {
      const Segment& segment = layout().segments[s];
      const auto number = static_cast<Index>(s);
      const Index begin = std::max(first, segment.offset), last = std::min(end, segment.offset + segment.size());
      if (begin >= last) continue;
      T* to = out.data() + (begin - first);
      if (const float* dense = tangents_.dense(number)) {
        std::transform(dense + k * segment.size() + (begin - segment.offset),
                       dense + k * segment.size() + (last - segment.offset), to,
                       [](float entry) { return static_cast<T>(entry); });
        continue;
      }
      const Block& block = layout().blocks[segment.block];
      const float* left = tangents_.rank_one(number).left + k * block.rows;
      const float* right = tangents_.rank_one(number).right + k * block.columns;
      for (Index i = begin - segment.offset; i < last - segment.offset; ++i)
        *to++ = static_cast<T>(left[i / block.columns]) * static_cast<T>(right[i % block.columns]);
    }
  }

  void write(Tangents<float>& out) const override { write_all(out); }
  void write(Tangents<double>& out) const override { write_all(out); }

  template <class T>
  void add(std::span<const double> coefficients, const Block& block, T* weight, T* bias) const {
    add_dense(coefficients, block.bias, bias);
    const RankOne<float> factors = tangents_.rank_one(block.weight);
    if (!factors.left) return add_dense(coefficients, block.weight, weight);
    parallel_for((block.rows + kFactorRows - 1) / kFactorRows, [&](Index piece) {
      for (Index i = piece * kFactorRows; i < std::min(block.rows, (piece + 1) * kFactorRows); ++i) {
        for (Index k = 0; k < count(); ++k) {
          const T c = static_cast<T>(coefficients[k]) * static_cast<T>(factors.left[k * block.rows + i]);
          const float* right = factors.right + k * block.columns;
          T* row = weight + i * block.columns;
          for (Index j = 0; j < block.columns; ++j) row[j] += c * static_cast<T>(right[j]);
        }
      }
    });
  }
  void add(std::span<const double> coefficients, const Block& block, WeightProduct& weight, float* bias) const {
    add_dense(coefficients, block.bias, bias);
    const RankOne<float> factors = tangents_.rank_one(block.weight);
    if (!factors.left) {
      const float* dense = tangents_.dense(block.weight);
      return weight.add(
          std::vector<float>(coefficients.begin(), coefficients.end()),
          [&](Index k, Index first, Index, float*) { return dense + (k * block.rows + first) * block.columns; });
    }
    std::vector<float> lefts;  // c_k u_k, (K, rows)
    for (Index k = 0; k < count(); ++k) {
      for (Index i = 0; i < block.rows; ++i)
        lefts.push_back(static_cast<float>(coefficients[k]) * factors.left[k * block.rows + i]);
    }
    weight.add_rank_one(count(), {.left = lefts.data(), .right = factors.right});
  }

 private:
  template <class T>
  void add_dense(std::span<const double> coefficients, Index segment, T* values) const {
    if (!values) return;
    const Index size = layout().segments[segment].size();
    const float* dense = tangents_.dense(segment);
    for (Index k = 0; k < count(); ++k) {
      const T c = static_cast<T>(coefficients[k]);
      for (Index i = 0; i < size; ++i) values[i] += c * static_cast<T>(dense[k * size + i]);
    }
  }

  template <class T>
  void write_all(Tangents<T>& out) const {
    for (std::size_t s = 0; s < layout().segments.size(); ++s) {
      const auto number = static_cast<Index>(s);
      const Block& block = layout().blocks[layout().segments[s].block];
      if (const float* dense = tangents_.dense(number)) {
        std::copy_n(dense, count() * layout().segments[s].size(), out.dense(number));
        continue;
      }
      const RankOne<float> factors = tangents_.rank_one(number);
      std::copy_n(factors.left, count() * block.rows, out.left(number, 0).data());
      std::copy_n(factors.right, count() * block.columns, out.right(number, 0).data());
    }
  }

  Tangents<float> tangents_;
};

}  // namespace

std::shared_ptr<const Draw> factor_draw(Tangents<float> tangents) {
  return std::make_shared<FactorDraw>(std::move(tangents));
}

}  // namespace slopewise
