#include "slopewise/data/digits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "support.hpp"

namespace slopewise {
namespace {

TEST(Digits, AreTheSameAtAnyNumberOfThreads) {
  const int threads = thread_count();
  set_thread_count(1);
  const DataSplit one = builtin_digits(500, 150, 7);
  set_thread_count(2);
  const DataSplit two = builtin_digits(500, 150, 7);
  set_thread_count(threads);
  EXPECT_EQ(stored(one.train), stored(two.train));
  EXPECT_EQ(stored(one.test), stored(two.test));
}

TEST(Digits, AreAPureFunctionOfSeedSplitAndIndex) {
  const DataSplit few = builtin_digits(30, 30, 7), many = builtin_digits(100, 100, 7),
                  other = builtin_digits(30, 30, 8);
  const auto begins_with = [](const Dataset& longer, const Dataset& shorter) {
    const std::vector<double> whole = stored(longer), part = stored(shorter);
    return std::equal(part.begin(), part.end(), whole.begin());
  };
  EXPECT_TRUE(begins_with(many.train, few.train));
  EXPECT_TRUE(begins_with(many.test, few.test));
  // No two of the 260 images are equal, whatever their seed, split and index.
  std::set<std::vector<double>> distinct;
  for (const Dataset* set : {&many.train, &many.test, &other.train, &other.test}) {
    const std::vector<double> pixels = stored(*set);
    for (auto image = pixels.begin(); image != pixels.end(); image += 784) distinct.emplace(image, image + 784);
  }
  EXPECT_EQ(distinct.size(), 260u);
}

TEST(Digits, HaveShapeAndBalancedClasses) {
  const DataSplit split = builtin_digits(200, 105, 1);
  EXPECT_EQ(split.train.image_shape, (Shape{28, 28, 1}));
  EXPECT_EQ(split.train.classes, 10);
  EXPECT_EQ(stored(split.train).size(), 200u * 784);
  for (std::int32_t label = 0; label < 10; ++label) {
    EXPECT_EQ(std::ranges::count(split.train.labels, label), 20);
    EXPECT_EQ(std::ranges::count(split.test.labels, label), label < 5 ? 11 : 10);
  }
}

// The mean image of each class, made from the training images, must find the class of test images far more often than
// chance: 1 in 10, so that 400 of 1,000 has probability below 1e-100.
TEST(Digits, LookLikeTheirClasses) {
  const DataSplit split = builtin_digits(2000, 1000, 3);
  const std::vector<double> train = stored(split.train), test = stored(split.test);
  std::vector<double> means(10 * 784);
  for (std::int64_t i = 0; i < 2000; ++i) {
    for (int p = 0; p < 784; ++p) means[split.train.labels[i] * 784 + p] += train[i * 784 + p] / 200.0;
  }
  int right = 0, lit = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    int best = 0;
    double best_distance = INFINITY;
    for (int label = 0; label < 10; ++label) {
      double distance = 0;
      for (int p = 0; p < 784; ++p) distance += std::pow(test[i * 784 + p] - means[label * 784 + p], 2);
      if (distance < best_distance) best = label, best_distance = distance;
    }
    right += best == split.test.labels[i];
    const auto image = test.begin() + i * 784;
    lit += std::count_if(image, image + 784, [](double pixel) { return pixel > 100; }) >= 15;
  }
  EXPECT_GT(right, 400);
  EXPECT_GT(lit, 990);
}

TEST(Digits, RejectsCountsOutOfRange) {
  EXPECT_THROW(builtin_digits(0, 1, 1), ArgumentError);
  EXPECT_THROW(builtin_digits(1, -1, 1), ArgumentError);
  EXPECT_THROW(builtin_digits(std::int64_t{1} << 60, 1, 1), ArgumentError);
}

}  // namespace
}  // namespace slopewise
