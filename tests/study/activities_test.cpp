#include "slopewise/study/activities.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/data/batches.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/study/claim.hpp"

namespace slopewise {
namespace {

const Dataset& few_digits() {
  static const Dataset train = builtin_digits(400, 1, 1).train;
  return train;
}

Subject perceptron(const std::vector<Index>& hidden, Index batch) {
  std::vector<Index> indices(static_cast<std::size_t>(batch));
  std::iota(indices.begin(), indices.end(), 0);
  return {mlp(few_digits().image_shape.size(), hidden, few_digits().classes), few_digits(), indices, 7};
}

// With one example a layer's gradient is d x̃ᵀ, so ‖x̃‖² ‖d‖² is its squared norm, known from backprop alone.
TEST(ActivityResiduals, OfOneExampleFollowFromItsGradient) {
  const Subject subject = perceptron({16, 8}, 1);
  const ActivityResiduals residuals(subject);
  const std::vector<double> plain = residuals.variances(3, 2, 1, false);
  const std::vector<double> heavier = residuals.variances(3, 3, 1, false);
  const std::vector<double> together = residuals.variances(3, 2, 1, true);
  const std::vector<double> of_four = residuals.variances(3, 2, 4, false);
  const double shared = residuals.squared_norm(0) + residuals.squared_norm(1) + residuals.squared_norm(2);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const Block& block = subject.layout().blocks[layer];
    const double square = subject.gradient().block_squared_norm(static_cast<Index>(layer));
    Index active = 0;
    const Index bias = subject.layout().segments[static_cast<std::size_t>(block.bias)].offset;
    for (Index i = 0; i < block.rows; ++i) active += subject.gradient()[bias + i] != 0 ? 1 : 0;
    ASSERT_GT(active, 0);
    EXPECT_NEAR(plain[layer] / square, static_cast<double>(active), 1e-4);
    EXPECT_NEAR((heavier[layer] - plain[layer]) / square, 1, 1e-4);
    EXPECT_NEAR(together[layer] / plain[layer], shared / residuals.squared_norm(layer), 1e-9);
    EXPECT_NEAR(of_four[layer], plain[layer] / 4, 1e-9 * plain[layer]);
  }
}

// Few units make the law's kurtosis visible: 4 units, of which κ is worth up to half.
TEST(ActivityResiduals, VariancesOfAnotherLawWouldFail) {
  const Subject subject = perceptron({4}, 8);
  const auto make = [&] {
    return std::make_unique<ActivityEstimator<float>>(subject.program(), hidden_sites(subject),
                                                      ActivityOptions{.law = "rademacher", .seed = 3});
  };
  const std::vector<double> errors = squared_errors(subject, make, 0, 2000)[0];
  const ActivityResiduals residuals(subject);
  const auto verdict = [&](double kurtosis) {
    return judge("", residuals.variances(1, kurtosis, 1, true)[0], mean_of(errors)).verdict;
  };
  EXPECT_EQ(verdict(1), Verdict::kHolds);
  EXPECT_EQ(verdict(3), Verdict::kFails);
}

// ∂loss/∂h of the last hidden layer is W e of the logits' weights, so the feedback B learns all of it; what is
// predicted for one state of the prior does not hold for another.
TEST(ActivityResiduals, AreThoseOfThePriorAsItStands) {
  const Subject subject = perceptron({16}, 16);
  ActivityOptions options{.tangents = 4, .seed = 5, .prior = "feedback", .together = false};
  const auto estimator = [&] {
    return std::make_unique<ActivityEstimator<float>>(subject.program(), hidden_sites(subject), options);
  };
  const auto corrected = estimator();
  options.correction = Correction::kNone;
  const auto alone = estimator();
  options.correction = Correction::kFull;
  const ActivityResiduals before(subject);
  const Batches batches(few_digits().count(), 16, 9);
  std::uint32_t step = 0;
  const auto teach = [&](std::uint32_t passes) {
    for (const std::uint32_t end = step + passes; step < end; ++step) {
      const ImageBatch<float> batch(few_digits(), batches.indices(step));
      corrected->estimate(subject.parameters(), batch.batch(), step, 0.1);
    }
    alone->restore(corrected->state());
    return before.after(subject, *alone);
  };
  const ActivityResiduals early = teach(20), late = teach(600);
  EXPECT_LT(early.squared_norm(0), 0.9 * before.squared_norm(0));
  EXPECT_LT(late.squared_norm(0), 0.01 * before.squared_norm(0));

  const auto make = [&] {
    auto made = estimator();
    made->restore(corrected->state());
    return made;
  };
  const std::vector<double> errors = squared_errors(subject, make, step, 500)[0];
  const auto verdict = [&](const ActivityResiduals& residuals) {
    return judge("", residuals.variances(1, 1, 4, false)[0], mean_of(errors)).verdict;
  };
  EXPECT_EQ(verdict(late), Verdict::kHolds);
  EXPECT_EQ(verdict(early), Verdict::kFails);
}

TEST(ActivityResiduals, ANetworkWithoutHiddenLayersHasNone) {
  EXPECT_THROW(hidden_sites(perceptron({}, 2)), NumericError);
}

}  // namespace
}  // namespace slopewise
