#include "slopewise/tensor/gradient.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;

template <class T>
DenseGradient<T> gradient_of(std::initializer_list<T> values) {
  DenseGradient<T> gradient(static_cast<Index>(values.size()));
  std::copy(values.begin(), values.end(), gradient.edit().begin());
  return gradient;
}

TEST(DenseGradient, StartsAtZero) {
  const DenseGradient<float> gradient(3);
  EXPECT_EQ(gradient.size(), 3);
  EXPECT_THAT(gradient.values(), ElementsAre(0, 0, 0));
  EXPECT_EQ(gradient.squared_norm(), 0);
  EXPECT_TRUE(gradient.finite());
}

TEST(DenseGradient, NormIsSummedInDouble) {
  // In float the squares overflow, and the small one is lost beside the large.
  EXPECT_DOUBLE_EQ(gradient_of({1e30f, -1e30f}).squared_norm(), 2 * static_cast<double>(1e30f) * 1e30f);
  EXPECT_EQ(gradient_of({4096.0f, 0.5f}).squared_norm(), 4096.0 * 4096 + 0.25);
}

TEST(DenseGradient, OneEntryThatIsNotFiniteIsFound) {
  using Limits = std::numeric_limits<float>;
  EXPECT_TRUE(gradient_of({Limits::max(), -Limits::max()}).finite());
  EXPECT_FALSE(gradient_of({1.0f, Limits::infinity()}).finite());
  EXPECT_FALSE(gradient_of({Limits::quiet_NaN(), 1.0f}).finite());
  EXPECT_FALSE(gradient_of({1.0, -std::numeric_limits<double>::infinity()}).finite());
}

TEST(DenseGradient, IsAddedAndWrittenInEitherPrecision) {
  const auto narrow = gradient_of({1.0f, -2.0f});
  const auto wide = gradient_of({1.0, -2.0});
  for (const Gradient* gradient : {static_cast<const Gradient*>(&narrow), static_cast<const Gradient*>(&wide)}) {
    Parameters<float> floats(std::vector<float>{10, 20});
    Parameters<double> doubles(std::vector<double>{10, 20});
    gradient->add_to(floats, -0.5);
    gradient->add_to(doubles, -0.5);
    EXPECT_THAT(floats.values(), ElementsAre(9.5f, 21.0f));
    EXPECT_THAT(doubles.values(), ElementsAre(9.5, 21.0));
    std::vector<float> as_floats(2);
    std::vector<double> as_doubles(2);
    gradient->materialize(as_floats);
    gradient->materialize(as_doubles);
    EXPECT_THAT(as_floats, ElementsAre(1, -2));
    EXPECT_THAT(as_doubles, ElementsAre(1, -2));
  }
}

TEST(DenseGradient, HoldsEntriesOfItsOwnPrecisionAlone) {
  const auto narrow = gradient_of({1.0f, -2.0f});
  EXPECT_EQ(narrow.held<float>().data(), narrow.values().data());
  EXPECT_TRUE(narrow.held<double>().empty());
  const auto wide = gradient_of({1.0, -2.0});
  EXPECT_EQ(wide.held<double>().data(), wide.values().data());
  EXPECT_TRUE(wide.held<float>().empty());
}

TEST(DenseGradient, OtherSizesAreRefusedBeforeAnythingIsWritten) {
  const auto gradient = gradient_of({1.0f, 2.0f});
  Parameters<float> theta(std::vector<float>{1, 2, 3});
  EXPECT_THROW(gradient.add_to(theta, 1), ShapeError);
  EXPECT_THAT(theta.values(), ElementsAre(1, 2, 3));
  std::vector<double> out(1);
  EXPECT_THROW(gradient.materialize(out), ShapeError);
}

}  // namespace
}  // namespace slopewise
