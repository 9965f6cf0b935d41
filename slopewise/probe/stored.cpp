// Tangents drawn once and kept: the step reads what the pushforward has read.
#include <algorithm>

#include "slopewise/base/threads.hpp"
#include "slopewise/probe/probe.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Entries one thread adds at a time.
constexpr Index kPiece = Index{1} << 15;

class StoredDraw final : public Draw {
 public:
  StoredDraw(std::shared_ptr<const Draw> draw, std::shared_ptr<const Tangents<float>> tangents)
      : Draw(draw->layout(), draw->count()), draw_(std::move(draw)), tangents_(std::move(tangents)) {}

  void fill(Index k, Index first, std::span<float> out) const override { draw_->fill(k, first, out); }
  void fill(Index k, Index first, std::span<double> out) const override { draw_->fill(k, first, out); }
  void write(Tangents<float>& out) const override { draw_->write(out); }
  void write(Tangents<double>& out) const override { draw_->write(out); }
  double squared_norm(Index k) const override { return draw_->squared_norm(k); }

  void add_block(std::span<const double> coefficients, const Block& block, float* weight, float* bias) const override {
    if (!holds(block)) return draw_->add_block(coefficients, block, weight, bias);
    add_segment(coefficients, block.weight, weight);
    if (bias) add_segment(coefficients, block.bias, bias);
  }
  void add_block(std::span<const double> coefficients, const Block& block, double* weight,
                 double* bias) const override {
    draw_->add_block(coefficients, block, weight, bias);
  }
  void add_block(std::span<const double> coefficients, const Block& block, WeightProduct& weight,
                 float* bias) const override {
    if (!holds(block)) return draw_->add_block(coefficients, block, weight, bias);
    const float* rows = tangents_->dense(block.weight);
    weight.add(std::vector<float>(coefficients.begin(), coefficients.end()),
               [&](Index k, Index first, Index, float*) { return rows + (k * block.rows + first) * block.columns; });
    if (bias) add_segment(coefficients, block.bias, bias);
  }

 private:
  bool holds(const Block& block) const {
    return tangents_->dense(block.weight) && (block.bias < 0 || tangents_->dense(block.bias));
  }
  void add_segment(std::span<const double> coefficients, Index segment, float* values) const {
    const Index size = layout().segments[segment].size();
    parallel_for((size + kPiece - 1) / kPiece, [&](Index piece) {
      const Index first = piece * kPiece;
      for (Index k = 0; k < count(); ++k) {
        axpy(static_cast<float>(coefficients[k]), tangents_->dense(segment) + k * size + first, values + first,
             std::min(kPiece, size - first));
      }
    });
  }

  std::shared_ptr<const Draw> draw_;
  std::shared_ptr<const Tangents<float>> tangents_;
};

}  // namespace

std::shared_ptr<const Draw> stored_draw(std::shared_ptr<const Draw> draw,
                                        std::shared_ptr<const Tangents<float>> tangents) {
  return std::make_shared<StoredDraw>(std::move(draw), std::move(tangents));
}

}  // namespace slopewise
