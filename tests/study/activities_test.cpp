#include "slopewise/study/activities.hpp"

#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "slopewise/data/batches.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/study/claim.hpp"
#include "tests/study/subjects.hpp"

namespace slopewise {
namespace {

const Dataset& few_digits() {
  static const Dataset train = builtin_digits(400, 1, 1).train;
  return train;
}

Subject perceptron(const std::vector<Index>& hidden, Index batch) {
  return subject_of({.family = "mlp", .hidden = hidden}, few_digits(), batch, 7);
}

// With one example a layer's gradient is d x̃ᵀ, so ‖x̃‖² ‖d‖² is its squared norm, known from backprop alone.
TEST(ActivityVariances, OfOneExampleFollowFromItsGradient) {
  const Subject subject = perceptron({16, 8}, 1);
  const auto with = [&](std::string law, Index tangents, bool together) {
    return activity_estimator(
        subject,
        {.law = std::move(law), .tangents = tangents, .activity = {.together = together}, .exact_head = false});
  };
  const auto of = [&](std::string law, Index tangents, bool together) {
    return layer_variances(subject, *with(std::move(law), tangents, together));
  };
  const std::vector<double> plain = of("rademacher", 1, false), heavier = of("gaussian", 1, false);
  const std::vector<double> together = of("rademacher", 1, true), of_four = of("rademacher", 4, false);
  const std::vector<double> residuals = squared_residuals(subject, *with("rademacher", 1, false));
  const double shared = residuals[0] + residuals[1] + residuals[2];
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const Block& block = subject.layout().blocks[layer];
    const double square = subject.gradient().block_squared_norm(static_cast<Index>(layer));
    Index active = 0;
    const Index bias = subject.layout().segments[static_cast<std::size_t>(block.bias)].offset;
    for (Index i = 0; i < block.rows; ++i) active += subject.gradient()[bias + i] != 0 ? 1 : 0;
    ASSERT_GT(active, 0);
    // κ − 2 = −1 takes one unit's worth.
    EXPECT_NEAR(plain[layer] / square, static_cast<double>(active) - 1, 1e-4 * static_cast<double>(active));
    EXPECT_NEAR((heavier[layer] - plain[layer]) / square, 2, 1e-4);
    EXPECT_NEAR((together[layer] + square) / (plain[layer] + square), shared / residuals[layer], 1e-5);
    EXPECT_NEAR(of_four[layer], plain[layer] / 4, 1e-9 * plain[layer]);
  }
}

// Few units make the law's kurtosis visible: 4 units, of which κ is worth up to half.
TEST(ActivityVariances, OfAnotherLawWouldFail) {
  const Subject subject = perceptron({4}, 8);
  const auto with = [&](std::string law) { return activity_estimator(subject, {.law = std::move(law), .seed = 3}); };
  const std::vector<double> errors = squared_errors(
      subject, [&] { return with("rademacher"); }, 0, 2000)[0];
  const auto verdict = [&](std::string law) {
    return judge("", layer_variances(subject, *with(std::move(law)))[0], mean_of(errors)).verdict;
  };
  EXPECT_EQ(verdict("rademacher"), Verdict::kHolds);
  EXPECT_EQ(verdict("gaussian"), Verdict::kFails);
}

// ∂loss/∂h of the last hidden layer is W e of the logits' weights, so the feedback B learns all of it; what is
// predicted for one state of the prior does not hold for another.
TEST(ActivityVariances, AreThoseOfThePriorAsItStands) {
  const Subject subject = perceptron({16}, 16);
  const EstimatorOptions options{
      .law = "rademacher", .tangents = 4, .seed = 5, .activity = {.prior = "feedback", .pace = 0.1, .together = false}};
  const auto learner = activity_estimator(subject, options);
  ProgramObjective<float> objective = subject.objective();
  const double before = squared_residuals(subject, *learner)[0];
  const Batches batches(few_digits().count(), 16, 9);
  std::uint32_t step = 0;
  const auto teach = [&](std::uint32_t passes) {
    for (const std::uint32_t end = step + passes; step < end; ++step) {
      const ExampleBatch<float> batch(few_digits(), batches.indices(step));
      objective.bind(batch.batch());
      learner->learn(learner->estimate(objective, subject.parameters(), step), 1);
    }
  };
  teach(20);
  EXPECT_LT(squared_residuals(subject, *learner)[0], 0.9 * before);
  const double early = layer_variances(subject, *learner)[0];
  teach(600);
  EXPECT_LT(squared_residuals(subject, *learner)[0], 0.01 * before);
  const double late = layer_variances(subject, *learner)[0];

  const auto make = [&] {
    auto made = activity_estimator(subject, options);
    made->restore(learner->state());
    return made;
  };
  const std::vector<double> errors = squared_errors(subject, make, step, 500)[0];
  EXPECT_EQ(judge("", late, mean_of(errors)).verdict, Verdict::kHolds);
  EXPECT_EQ(judge("", early, mean_of(errors)).verdict, Verdict::kFails);
}

TEST(ActivityVariances, ANetworkWithoutHiddenLayersHasNone) {
  EXPECT_NE(why_unpredicted(perceptron({}, 2), {}), "");
  EXPECT_EQ(why_unpredicted(perceptron({4}, 2), {}), "");
}

}  // namespace
}  // namespace slopewise
