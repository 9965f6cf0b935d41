#include "slopewise/estimate/scales.hpp"

#include <algorithm>
#include <cmath>

#include "slopewise/estimate/prior.hpp"
#include "slopewise/probe/scaled.hpp"

namespace slopewise {
namespace {

// Steps that running means of squared slopes look back over.
constexpr double kMemory = 100;
// Blocks and entries with less than this share of the mean square count as having it, so that no scale is infinite.
constexpr double kLeastShare = 1e-6;

// The weight of the newest of `steps` numbers: their plain mean until the memory is full.
double newest(Index steps) {
  return 1 / std::min(static_cast<double>(steps), kMemory);
}

class BlockScales final : public Scales {
 public:
  explicit BlockScales(const ParameterLayout& layout)
      : layout_(layout), squares_(layout.blocks.size()), scales_(layout.blocks.size(), 1.0) {}

  bool by_block() const override { return true; }
  std::shared_ptr<const Draw> scaled(std::shared_ptr<const Draw> draw, int power) const override {
    std::vector<double> powers = scales_;
    for (double& scale : powers) scale = std::pow(scale, power);
    return scaled_by_block(std::move(draw), std::move(powers));
  }
  void apply(std::span<double> x, int power) const override {
    for (const Segment& segment : layout_.segments) {
      const double scale = std::pow(scales_[segment.block], power);
      for (double& entry :
           x.subspan(static_cast<std::size_t>(segment.offset), static_cast<std::size_t>(segment.size())))
        entry *= scale;
    }
  }
  void learn(const GradientEstimate& estimate) override {
    const double weight = newest(++steps_);
    for (std::size_t b = 0; b < squares_.size(); ++b) {
      const double slope = estimate.block_slopes()[b];
      squares_[b] += weight * (slope * slope - squares_[b]);
    }
    derive();
  }
  StateView<double> state() const override { return {.steps = steps_, .vectors = {{"block_squares", squares_}}}; }
  void restore(const StateView<double>& state) override {
    std::ranges::copy(state.vectors[0].values, squares_.begin());
    steps_ = state.steps;
    derive();
  }

 private:
  void derive() {
    double total = 0;
    for (const double square : squares_) total += square;
    const double least = kLeastShare * total / static_cast<double>(squares_.size());
    for (std::size_t b = 0; b < scales_.size(); ++b) {
      const Block& block = layout_.blocks[b];
      const double entries = static_cast<double>(block.rows * block.columns_with_bias());
      scales_[b] = total > 0 ? std::pow(entries * total / std::max(squares_[b], least), 0.25) : 1;
    }
  }

  ParameterLayout layout_;
  Index steps_ = 0;
  std::vector<double> squares_;  // running means of s_b²
  std::vector<double> scales_;
};

class EntryScales final : public Scales {
 public:
  EntryScales(Index size, double share)
      : mean_(running_mean_prior(size, share)),
        noise_share_(share / (2 - share)),
        scales_(std::make_shared<std::vector<double>>(static_cast<std::size_t>(size), 1.0)) {}

  bool by_block() const override { return false; }
  std::shared_ptr<const Draw> scaled(std::shared_ptr<const Draw> draw, int power) const override {
    if (power == 1) return scaled_by_entry(std::move(draw), scales_);
    auto powers = std::make_shared<std::vector<double>>(*scales_);
    for (double& scale : *powers) scale = std::pow(scale, power);
    return scaled_by_entry(std::move(draw), std::move(powers));
  }
  void apply(std::span<double> x, int power) const override {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= std::pow((*scales_)[i], power);
  }
  void learn(const GradientEstimate& estimate) override {
    mean_->learn(estimate);
    const double found = estimate.noise().residual_squared_norm / static_cast<double>(estimate.slopes().size());
    square_[0] += newest(mean_->state().steps) * (found - square_[0]);
    derive();
  }
  StateView<double> state() const override {
    StateView<double> view{.steps = mean_->state().steps, .vectors = {}};
    view.vectors = {{"entry_mean", mean_->state().vectors[0].values}, {"entry_square", square_}, {"scales", *scales_}};
    return view;
  }
  void restore(const StateView<double>& state) override {
    for (const auto& vector : state.vectors) {
      if (vector.name == "entry_mean") mean_->restore({.steps = state.steps, .vectors = {vector}});
      if (vector.name == "entry_square") square_.assign(vector.values.begin(), vector.values.end());
      if (vector.name == "scales")
        scales_ = std::make_shared<std::vector<double>>(vector.values.begin(), vector.values.end());
    }
  }

 private:
  // V[g_i] is about E[s²]/(K σ_i²), with the scales that g was made with.
  void derive() {
    const std::vector<double>& m = *mean_->vector();
    auto scales = std::make_shared<std::vector<double>>(m.size());
    double mean_square = 0;
    const auto square_of = [&](std::size_t i) {
      const double before = (*scales_)[i];
      return m[i] * m[i] + noise_share_ * square_[0] / (before * before);
    };
    for (std::size_t i = 0; i < m.size(); ++i) mean_square += square_of(i) / static_cast<double>(m.size());
    if (!(mean_square > 0)) return;
    for (std::size_t i = 0; i < m.size(); ++i)
      (*scales)[i] = std::pow(std::max(square_of(i) / mean_square, kLeastShare), -0.25);
    scales_ = std::move(scales);
  }

  std::unique_ptr<Prior> mean_;
  double noise_share_;               // the variance of a running mean over that of one
  std::vector<double> square_{0.0};  // running mean of E[s²]/K
  std::shared_ptr<std::vector<double>> scales_;
};

}  // namespace

std::unique_ptr<Scales> block_scales(const ParameterLayout& layout) {
  return std::make_unique<BlockScales>(layout);
}
std::unique_ptr<Scales> entry_scales(Index size, double share) {
  return std::make_unique<EntryScales>(size, share);
}

}  // namespace slopewise
