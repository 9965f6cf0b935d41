#include "slopewise/train/learner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/model/initialize.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kRows = 6;
const Shape kImage{4, 4, 1};

// The blocks of a small network, each with weights, and examples for the first.
class Learners : public testing::Test {
 protected:
  explicit Learners(const NetworkSpec& spec = {.hidden = {8, 8, 8}, .block_layers = 1})
      : blocks_(make_chain(spec, kImage, 3, true)), images_(random_vector<float>(kRows * kImage.size(), 1)) {
    for (const ChainBlock& block : blocks_)
      thetas_.push_back(initialize<float>(block.program->layout(), 5 + thetas_.size()));
  }
  Batch<float> batch(std::span<const float> values) const {
    return {.rows = kRows, .inputs = {values, std::span<const std::int32_t>(labels_)}};
  }
  static std::vector<float> written(const Gradient& gradient) {
    std::vector<float> out(static_cast<std::size_t>(gradient.size()));
    gradient.materialize(out);
    return out;
  }
  // The exact gradient of one block, without a learner.
  std::vector<float> exact(std::size_t i, std::span<const float> values, double* loss = nullptr) const {
    std::vector<float> out(static_cast<std::size_t>(blocks_[i].program->size()));
    Runner<float> runner(*blocks_[i].program, {.mode = Workload::Mode::kPullback, .batch = kRows});
    const double found = runner.gradient(thetas_[i], batch(values), out).loss;
    if (loss) *loss = found;
    return out;
  }

  std::vector<ChainBlock> blocks_;
  std::vector<Parameters<float>> thetas_;
  std::vector<float> images_;
  const std::vector<std::int32_t> labels_{0, 1, 2, 1, 0, 2};
};

TEST_F(Learners, ExactOnesGiveEachBlocksOwnGradientAndWhatTheNextReads) {
  for (const bool checkpointed : {false, true}) {
    std::vector<float> values = images_;
    std::unique_ptr<Learner> before;
    std::vector<std::unique_ptr<Learner>> learners;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      Learner* like = i > 0 && blocks_[i].program == blocks_[i - 1].program ? learners.back().get() : nullptr;
      learners.push_back(make_learner({.name = "exact", .checkpointed = checkpointed}, blocks_[i], 1, like));
      double loss = 0;
      const std::vector<float> expected = exact(i, values, &loss);
      EXPECT_EQ(written(learners[i]->gradient(thetas_[i], batch(values), 0, 0.1)), expected) << i;
      EXPECT_EQ(learners[i]->loss(), loss);
      EXPECT_FALSE(learners[i]->slope().has_value());
      EXPECT_EQ(learners[i]->slopes(), 0);
      Runner<float> forward(*blocks_[i].program, {.batch = kRows, .outputs = {blocks_[i].output}});
      forward.run(thetas_[i], batch(values));
      const std::span<const float> made = learners[i]->output();
      ASSERT_TRUE(std::ranges::equal(made, forward.output(0))) << i;
      values.assign(made.begin(), made.end());
    }
  }
}

class WholeNet : public Learners {
 protected:
  WholeNet() : Learners({.hidden = {8, 8}}) {}
  static MethodSettings weights(Index tangents) {
    MethodSettings settings{.name = "weights"};
    settings.estimate = {.law = "rademacher", .tangents = tangents};
    return settings;
  }
  std::vector<float> gradient(const MethodSettings& settings, std::uint32_t step = 0) const {
    return written(make_learner(settings, blocks_[0], 1, nullptr)->gradient(thetas_[0], batch(images_), step, {}));
  }
  std::size_t head() const { return 8 * 3 + 3; }
};

TEST_F(WholeNet, WeightsHaveAnExactHeadUnlessItIsTurnedOff) {
  const std::vector<float> truth = exact(0, images_);
  MethodSettings settings = weights(2);
  const auto differs = [&](const std::vector<float>& found, std::size_t first, std::size_t last) {
    double most = 0;
    for (std::size_t i = first; i < last; ++i) most = std::max<double>(most, std::abs(found[i] - truth[i]));
    return most > 1e-3;
  };
  const std::size_t body = truth.size() - head();
  std::vector<float> found = gradient(settings);
  EXPECT_TRUE(differs(found, 0, body));
  for (std::size_t i = body; i < truth.size(); ++i) EXPECT_NEAR(found[i], truth[i], 1e-6);
  settings.activity.exact_head = false;
  EXPECT_TRUE(differs(gradient(settings), body, truth.size()));
}

// The mean over many steps at 6.5 standard errors for each of 235 entries: 2e-8 false alarms.
TEST_F(WholeNet, WeightsAndActivitiesAreUnbiased) {
  const std::vector<float> truth = exact(0, images_);
  MethodSettings activities{.name = "activities"};
  activities.activity.tangents = 2;
  for (const MethodSettings& settings : {weights(4), activities}) {
    const auto learner = make_learner(settings, blocks_[0], 1, nullptr);
    std::vector<double> sum(truth.size()), squares(truth.size());
    constexpr int kSteps = 4000;
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      const std::vector<float> g = written(learner->gradient(thetas_[0], batch(images_), step, {}));
      for (std::size_t i = 0; i < g.size(); ++i) {
        sum[i] += static_cast<double>(g[i]);
        squares[i] += static_cast<double>(g[i]) * static_cast<double>(g[i]);
      }
    }
    for (std::size_t i = 0; i < truth.size(); ++i) {
      const double mean = sum[i] / kSteps;
      const double error = std::sqrt(std::max(0.0, squares[i] / kSteps - mean * mean) / kSteps);
      EXPECT_TRUE(agrees(mean, static_cast<double>(truth[i]), error, 1e-6)) << settings.name << " " << i;
    }
  }
}

// For a law of many slopes the clipped estimate is each tangent's with min(1, c/|s|).
TEST_F(WholeNet, ALongSlopeCountsForItsLimit) {
  MethodSettings settings = weights(1);
  const auto learner = make_learner(settings, blocks_[0], 1, nullptr);
  const std::vector<float> free = written(learner->gradient(thetas_[0], batch(images_), 3, {}));
  const double slope = *learner->slope();
  settings.clip_slope = slope / 4;
  const std::vector<float> clipped = gradient(settings, 3);
  settings.clip_slope = slope * 1.01;
  EXPECT_EQ(gradient(settings, 3), free);
  for (std::size_t i = 0; i + head() < free.size(); ++i)
    EXPECT_NEAR(clipped[i], free[i] / 4, 1e-6 * std::abs(free[i])) << i;
  for (std::size_t i = free.size() - head(); i < free.size(); ++i) EXPECT_EQ(clipped[i], free[i]);
}

TEST_F(WholeNet, SlopesAreCounted) {
  EXPECT_EQ(make_learner(weights(5), blocks_[0], 1, nullptr)->slopes(), 5);
  MethodSettings activities{.name = "activities"};
  activities.activity.tangents = 3;
  EXPECT_EQ(make_learner(activities, blocks_[0], 1, nullptr)->slopes(), 3);
  activities.activity.together = false;
  EXPECT_EQ(make_learner(activities, blocks_[0], 1, nullptr)->slopes(), 6);
}

TEST_F(WholeNet, UnknownMethodsAreRefused) {
  EXPECT_THROW(make_learner({.name = "local"}, blocks_[0], 1, nullptr), ArgumentError);
}

}  // namespace
}  // namespace slopewise
