// Averages against sums written out, and what stands in for θ while they are evaluated.
#include "slopewise/optimize/average.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "tests/optimize/support.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kWeights = 20011;

template <class T>
Parameters<T> weights(std::uint64_t step, Index size = kWeights) {
  return Parameters<T>(random_vector<T>(size, step, 1, 2));
}

template <class T>
std::vector<double> average_of(const WeightAverage<T>& average) {
  const auto values = average.state().vectors[0].values;
  return {values.begin(), values.end()};
}

TEST(WeightAverage, IsTheWeightedMeanOfWhatItSaw) {
  for (const double decay : {0.0, 0.5, 0.95, 0.999999, 1.0}) {
    WeightAverage<float> average(kWeights, decay);
    std::vector<double> sum(kWeights);
    double weight = 0;
    for (std::uint64_t step = 0; step < 30; ++step) {
      const Parameters<float> theta = weights<float>(step);
      average.watch(theta);
      weight = decay * weight + 1;
      const std::vector<double> found = average_of(average);
      for (std::size_t i = 0; i < kWeights; ++i) {
        sum[i] = decay * sum[i] + static_cast<double>(theta.values()[i]);
        ASSERT_NEAR(found[i], sum[i] / weight, 1e-13) << "decay " << decay << ", step " << step << ", entry " << i;
      }
    }
    Parameters<float> written(kWeights);
    average.write(written);
    const std::vector<double> exact = average_of(average);
    EXPECT_EQ(copy_of(written), std::vector<float>(exact.begin(), exact.end()));
  }
}

// From step 130 on the increments 1e-3 / t² are below half a unit in the last place of a float.
TEST(WeightAverage, DoesNotRoundSmallIncrementsAway) {
  constexpr double kDecay = 1 - 1e-5;
  constexpr int kSteps = 20000;
  WeightAverage<float> average(1, kDecay);
  average.watch(Parameters<float>(std::vector{1.0f}));
  for (int i = 0; i < kSteps; ++i) average.watch(Parameters<float>(std::vector{1.001f}));
  const double first_weight = std::pow(kDecay, kSteps) * (1 - kDecay) / (1 - std::pow(kDecay, kSteps + 1));
  EXPECT_NEAR(average_of(average)[0], 1 + (double{1.001f} - 1) * (1 - first_weight), 1e-10);
}

TEST(AverageScope, StandsInForThetaAndGivesItBack) {
  WeightAverage<float> average(1000, 0.9);
  Parameters<float> theta = weights<float>(1, 1000);
  average.watch(theta);
  theta.edit()[3] += 1;
  average.watch(theta);
  theta.packed(0, 40, 25);
  ASSERT_NE(theta.edit_packed(0, 40, 25), nullptr);  // the packed matrix is what θ is
  const std::vector<float> before = copy_of(theta);
  std::optional<AverageScope<float>> scope(std::in_place, average, theta);
  Parameters<float> expected(1000);
  average.write(expected);
  EXPECT_EQ(copy_of(theta), copy_of(expected));
  EXPECT_NE(copy_of(theta), before);
  scope.reset();
  EXPECT_EQ(copy_of(theta), before);
  std::vector<float> unpacked(1000);
  theta.packed(0, 40, 25).unpack(unpacked.data());
  EXPECT_EQ(unpacked, before);
}

TEST(WeightAverage, GoesOnBitForBitFromItsStateAtAnyNumberOfThreads) {
  for (const double decay : {0.9, 1.0}) {
    WeightAverage<double> whole(kWeights, decay), before(kWeights, decay), after(kWeights, decay);
    for (std::uint64_t step = 0; step < 10; ++step) whole.watch(weights<double>(step));
    const ThreadScope threads(3);
    for (std::uint64_t step = 0; step < 5; ++step) before.watch(weights<double>(step));
    after.restore(before.state());
    EXPECT_EQ(after.steps(), 5);
    for (std::uint64_t step = 5; step < 10; ++step) after.watch(weights<double>(step));
    EXPECT_EQ(average_of(after), average_of(whole));
    EXPECT_NE(average_of(before), average_of(whole));
  }
}

TEST(WeightAverage, SaysWhatIsWrong) {
  for (const double decay : {-0.1, 1.1, std::nan("")}) EXPECT_THROW(WeightAverage<float>(3, decay), ArgumentError);
  WeightAverage<float> average(3, 0.9);
  Parameters<float> three({1, 2, 3}), four(4);
  EXPECT_THROW(average.write(three), ArgumentError);
  EXPECT_THROW(average.watch(four), ShapeError);
  EXPECT_EQ(average.steps(), 0);
  average.watch(three);
  EXPECT_THROW(average.write(four), ShapeError);
  EXPECT_THROW((AverageScope<float>(average, four)), ShapeError);
  const std::vector<double> two(2);
  EXPECT_THROW(average.restore({.steps = 1, .vectors = {{"average", two}}}), ShapeError);
  EXPECT_THROW(average.restore({.steps = 1, .vectors = {{"mean", two}}}), ArgumentError);
  EXPECT_EQ(average.steps(), 1);
}

}  // namespace
}  // namespace slopewise
