// Expected orders worked out by hand.
#include "slopewise/program/timeline.hpp"

#include <gmock/gmock.h>

namespace slopewise {
namespace {

using testing::ElementsAre;

TEST(Timeline, GroupsOfAnExactGradientFollowFromTheLastToTheFirst) {
  const Timeline times({0, 2, 3}, -1);
  EXPECT_THAT(times.group, ElementsAre(0, 0, 1));
  EXPECT_THAT(times.replay, ElementsAre(5, 6, 3));
  EXPECT_THAT(times.backward, ElementsAre(8, 7, 4));
  EXPECT_EQ(times.end, 9);
}

TEST(Timeline, GroupsOfAStreamFollowFromTheFirstToTheLastButOne) {
  const Timeline times({0, 1, 2, 3, 4}, 0);
  EXPECT_THAT(times.replay, ElementsAre(6, 9, 12, 4));
  EXPECT_THAT(times.backward, ElementsAre(8, 11, 14, 5));
  EXPECT_THAT(times.first_pull, ElementsAre(7, 10, 13, 0, 0));
  EXPECT_EQ(times.end, 15);
}

TEST(Timeline, AStreamMakesWhatIsAheadBeforeItIsPassed) {
  const Timeline times({0, 1, 2, 3, 4}, 1);
  EXPECT_THAT(times.replay, ElementsAre(6, 7, 10, 4));
  EXPECT_THAT(times.first_pull, ElementsAre(8, 8, 11, 0, 0));
  EXPECT_THAT(times.backward, ElementsAre(9, 12, 14, 5));
}

}  // namespace
}  // namespace slopewise
