#include "slopewise/study/descent.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "slopewise/data/digits.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "tests/study/subjects.hpp"

namespace slopewise {
namespace {

// A method that takes 10 |log2(rate / best)|² + 20 steps, and from four times the best rate on diverges.
TunedDescent tuned(double start, double best, double most) {
  return tune_descent(start, most, [&](double rate, double limit) {
    const double off = std::log2(rate / best);
    const double steps = off >= 2 ? std::numeric_limits<double>::infinity() : 20 + 10 * off * off;
    return std::vector<double>(3, steps <= limit ? steps : std::numeric_limits<double>::infinity());
  });
}

TEST(TuneDescent, FindsTheBestPowerOfTwo) {
  for (const double start : {1.0, 0.125, 8.0, 64.0}) {
    const TunedDescent found = tuned(start, 1, 1e6);
    EXPECT_EQ(found.rate, 1) << start;
    EXPECT_EQ(found.steps, 20) << start;
    EXPECT_EQ(found.each, std::vector<double>(3, 20)) << start;
  }
}

TEST(TuneDescent, SaysWhatWasNeverReached) {
  EXPECT_TRUE(std::isinf(tuned(1, 1, 5).steps));
  EXPECT_TRUE(std::isinf(tuned(1024, 1, 1e6).steps));  // too far off for the search
}

// Logarithms 3, 4 and 5 of base 2 over a 2: their mean is 3, their error 1/√3 and t of two degrees 9.925 at 99 %.
TEST(StepsRatio, IsTheGeometricMeanWithStudentsInterval) {
  const Ratio ratio = steps_ratio({.steps = 16, .each = {8, 16, 32}}, 2, 0.99);
  EXPECT_NEAR(ratio.value, 8, 1e-12);
  EXPECT_NEAR(std::log2(ratio.interval.high), 3 + 9.925 / std::sqrt(3), 1e-3);
  EXPECT_NEAR(std::log2(ratio.interval.low), 3 - 9.925 / std::sqrt(3), 1e-3);
  const double never = std::numeric_limits<double>::infinity();
  EXPECT_NEAR(steps_ratio({.steps = 16, .each = {16, 16, never}}, 1, 0.9).value, std::cbrt(16.0 * 16 * 64), 1e-9);
}

class Descent : public testing::Test {
 protected:
  static Subject subject_of(const Dataset& data) {
    return slopewise::subject_of({.family = "mlp", .hidden = {8}}, data, 32, 5);
  }
  const Dataset data_ = builtin_digits(32, 1, 3).train;
  const Subject subject_ = subject_of(data_);
  const Curvature curvature_ = subject_.curvature(200, 3);
};

TEST_F(Descent, EveryMethodComesToHalfTheLossAndExactStepsAreFewest) {
  const double exact = steps_to_half(subject_, exact_descent(subject_), curvature_.highest_exact_rate() / 2, 500);
  const double learned =
      steps_to_half(subject_, learned_prior_descent(subject_, 1), curvature_.highest_exact_rate() / 4, 4000);
  const double forward = steps_to_half(subject_, forward_descent(subject_, 1), curvature_.highest_rate() / 2, 40'000);
  EXPECT_TRUE(std::isfinite(exact) && std::isfinite(learned) && std::isfinite(forward));
  EXPECT_LT(exact, learned);
  EXPECT_LT(learned, forward);
}

// Mini-batches add noise of their own, so more steps are needed.
TEST_F(Descent, MiniBatchesTakeMoreSteps) {
  std::vector<Index> all(32);
  for (Index i = 0; i < 32; ++i) all[static_cast<std::size_t>(i)] = i;
  const double rate = curvature_.highest_rate() / 2;
  const auto tuned = [&](const std::function<DescentStep(Index run)>& descent) {
    return tune_descent(subject_, rate, 40'000, 3, descent).steps;
  };
  const auto seed = [](Index run) { return static_cast<std::uint64_t>(run); };
  const double whole = tuned([&](Index run) { return forward_descent(subject_, seed(run)); });
  const double parts = tuned([&](Index run) { return minibatch_descent(subject_, data_, all, 4, seed(run)); });
  EXPECT_TRUE(std::isfinite(parts));
  EXPECT_GT(parts, 1.5 * whole);
  // It tells the loss of all examples, whatever its batch.
  Parameters<float> theta = subject_.parameters();
  EXPECT_EQ(minibatch_descent(subject_, data_, all, 4, 1)(theta, 0, 0), subject_.objective().loss(theta));
}

TEST_F(Descent, RepeatedRunsAreOthersAtTheSameRate) {
  const double rate = curvature_.highest_rate() / 2;
  const auto descent = [&](std::uint64_t first) {
    return [this, first](Index run) { return forward_descent(subject_, first + static_cast<std::uint64_t>(run)); };
  };
  const TunedDescent chosen = tune_descent(subject_, rate, 40'000, 3, descent(0));
  const TunedDescent repeated = repeat_descent(subject_, chosen, 5, descent(3));
  EXPECT_EQ(repeated.rate, chosen.rate);
  ASSERT_EQ(repeated.each.size(), 5u);
  EXPECT_EQ(repeated.each[0], steps_to_half(subject_, forward_descent(subject_, 3), chosen.rate, 4 * chosen.steps));
  EXPECT_EQ(repeated.steps, median(repeated.each));
  // A rate that runs chose by luck and at which the others diverge is halved until they arrive.
  const TunedDescent lucky{.rate = 64 * chosen.rate, .steps = chosen.steps, .each = {}};
  const TunedDescent mended = repeat_descent(subject_, lucky, 5, descent(3));
  EXPECT_LT(mended.rate, lucky.rate);
  EXPECT_TRUE(std::isfinite(mended.steps));
}

// 3000 draws of 2 of 3 numbers: each number 2000 times, with a standard deviation of 37.
TEST(DrawExamples, FromTheExamplesAloneAndByTheNumberOfTheDraw) {
  const std::vector<Index> examples{4, 7, 9};
  std::map<Index, int> counts;
  for (std::uint64_t number = 0; number < 3000; ++number)
    for (const Index drawn : draw_examples(examples, 2, 1, number)) ++counts[drawn];
  EXPECT_THAT(counts, testing::UnorderedElementsAre(testing::Key(4), testing::Key(7), testing::Key(9)));
  for (const auto& [example, count] : counts) EXPECT_NEAR(count, 2000, 5.5 * 37) << example;
  EXPECT_EQ(draw_examples(examples, 9, 1, 3), draw_examples(examples, 9, 1, 3));
  EXPECT_NE(draw_examples(examples, 9, 1, 3), draw_examples(examples, 9, 1, 4));
  EXPECT_NE(draw_examples(examples, 9, 1, 3), draw_examples(examples, 9, 2, 3));
}

TEST_F(Descent, TooHighARateDivergesAndTooFewStepsDoNotArrive) {
  const auto steps = [&](double rate, double most) {
    return steps_to_half(subject_, exact_descent(subject_), rate, most);
  };
  EXPECT_TRUE(std::isinf(steps(1e4 * curvature_.highest_exact_rate(), 500)));
  EXPECT_TRUE(std::isinf(steps(curvature_.highest_exact_rate() / 2, 1)));
}

}  // namespace
}  // namespace slopewise
