#include "slopewise/tensor/tangents.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// "weight" (2, 3), "bias" (2), "gain" (4).
ParameterLayout small_layout() {
  ParameterLayout layout;
  const Index weight = layout.add("weight", {2, 3}, {}, 2);
  layout.add_bias("bias", weight);
  layout.add("gain", {4}, {}, 4);
  return layout;
}

template <class T>
class TangentsOf : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(TangentsOf, Types);

TYPED_TEST(TangentsOf, DenseOnesComeBackAsGiven) {
  using T = TypeParam;
  const ParameterLayout layout = small_layout();
  const auto values = random_vector<T>(3 * layout.size, 1);
  const auto tangents = Tangents<T>::dense(layout, 3, values);
  EXPECT_EQ(tangents.count(), 3);
  EXPECT_EQ(tangents.bytes(), static_cast<Index>(3 * layout.size * sizeof(T)));
  std::vector<T> whole(static_cast<std::size_t>(layout.size));
  for (Index k = 0; k < 3; ++k) {
    tangents.expand(k, whole);
    EXPECT_TRUE(std::equal(whole.begin(), whole.end(), values.begin() + k * layout.size));
    // The segment's K tangents lie one after another.
    EXPECT_TRUE(std::equal(whole.begin() + 6, whole.begin() + 8, tangents.dense(1) + 2 * k));
  }
  EXPECT_EQ(tangents.rank_one(0).left, nullptr);
}

TYPED_TEST(TangentsOf, EachFormExpandsToItsEntries) {
  using T = TypeParam;
  const ParameterLayout layout = small_layout();
  Tangents<T> tangents(layout, 2, {TangentForm::kRankOne, TangentForm::kDense, TangentForm::kNone});
  EXPECT_EQ(tangents.bytes(), static_cast<Index>(2 * (2 + 3 + 2) * sizeof(T)));
  EXPECT_EQ(tangents.dense(0), nullptr);
  EXPECT_EQ(tangents.dense(2), nullptr);
  EXPECT_EQ(tangents.rank_one(1).right, nullptr);

  std::vector<T> whole(static_cast<std::size_t>(layout.size), T{9});
  tangents.expand(1, whole);
  EXPECT_THAT(whole, testing::Each(T{0}));  // zero when made

  for (Index k = 0; k < 2; ++k) {
    const T one = static_cast<T>(k + 1);
    std::ranges::copy(std::vector<T>{one, T{10} * one}, tangents.left(0, k).begin());
    std::ranges::copy(std::vector<T>{1, 2, T{3} + one}, tangents.right(0, k).begin());
    tangents.dense(1)[2 * k] = one;
    tangents.dense(1)[2 * k + 1] = -one;
  }
  std::fill(whole.begin(), whole.end(), T{9});
  tangents.expand(0, whole);
  EXPECT_THAT(whole, testing::ElementsAre(1, 2, 4, 10, 20, 40, 1, -1, 0, 0, 0, 0));
  tangents.expand(1, whole);
  EXPECT_THAT(whole, testing::ElementsAre(2, 4, 10, 20, 40, 100, 2, -2, 0, 0, 0, 0));

  std::vector<T> part(6);
  tangents.expand(0, 1, part);
  EXPECT_THAT(part, testing::ElementsAre(2, 4, 10, 20, 40, 100));
  EXPECT_EQ(tangents.rank_one(0).left[2], T{2});
  EXPECT_EQ(tangents.rank_one(0).right[5], T{5});
}

TEST(Tangents, WhatDoesNotFitTheLayoutIsRefused) {
  using enum TangentForm;
  const ParameterLayout layout = small_layout();
  EXPECT_THAT(
      [&] {
        Tangents<float>(layout, 0, {kDense, kDense, kDense});
      },
      ThrowsMessage<ArgumentError>(HasSubstr("at least 1, found 0")));
  EXPECT_THAT([&] { Tangents<float>(layout, 1, {kDense}); },
              ThrowsMessage<ArgumentError>(HasSubstr("each of 3 segments, found 1")));
  EXPECT_THAT(
      [&] {
        Tangents<float>(layout, 1, {kDense, kRankOne, kDense});
      },
      ThrowsMessage<ArgumentError>(HasSubstr("'bias' is no matrix")));
  const std::vector<float> values(23);
  EXPECT_THAT([&] { Tangents<float>::dense(layout, 2, values); },
              ThrowsMessage<ArgumentError>(HasSubstr("expected 2 × 12 entries, found 23")));
}

}  // namespace
}  // namespace slopewise
