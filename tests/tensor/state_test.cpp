// States handed over by name, or not at all.
#include "slopewise/tensor/state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(State, IsCopiedByNameInAnyOrder) {
  const std::vector<double> one{1, 2}, two{3};
  std::vector<NamedVector<double>> vectors{{"one", {0, 0}}, {"two", {0}}};
  detail::copy_state<double>("owner", {.steps = 4, .vectors = {{"two", two}, {"one", one}}}, vectors);
  EXPECT_EQ(vectors[0].values, one);
  EXPECT_EQ(vectors[1].values, two);
  const StateView<double> view = detail::view_of(4, vectors);
  EXPECT_EQ(view.steps, 4);
  EXPECT_EQ(view.vectors[1].name, "two");
}

TEST(State, ThatDoesNotFitChangesNothing) {
  const std::vector<double> one{1, 2}, two{3};
  std::vector<NamedVector<double>> vectors{{"one", {7, 7}}, {"two", {7}}};
  const auto copy = [&](const StateView<double>& state) {
    return [&vectors, state] { detail::copy_state("owner", state, vectors); };
  };
  EXPECT_THAT(copy({.steps = -1, .vectors = {{"one", one}, {"two", two}}}),
              ThrowsMessage<ArgumentError>(HasSubstr("owner: state: expected at least 0 steps, found -1")));
  EXPECT_THAT(copy({.vectors = {{"one", one}}}),
              ThrowsMessage<ArgumentError>(HasSubstr("expected the vectors [one, two], found [one]")));
  EXPECT_THAT(copy({.vectors = {{"one", one}, {"two", one}}}),
              ThrowsMessage<ShapeError>(HasSubstr("two: expected 1 entries, found 2")));
  EXPECT_EQ(vectors[0].values, (std::vector<double>{7, 7}));
  EXPECT_EQ(vectors[1].values, (std::vector<double>{7}));
}

}  // namespace
}  // namespace slopewise
