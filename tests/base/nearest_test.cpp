#include "slopewise/base/nearest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace slopewise {
namespace {

const std::vector<std::string> kLaws = {"gaussian", "rademacher", "sphere", "frame"};

TEST(Nearest, SuggestsTheNearestName) {
  EXPECT_EQ(suggestion("gausian", kLaws), "; did you mean gaussian?");       // a letter missing
  EXPECT_EQ(suggestion("gaussiann", kLaws), "; did you mean gaussian?");     // one too many
  EXPECT_EQ(suggestion("rademacker", kLaws), "; did you mean rademacher?");  // a wrong one
  EXPECT_EQ(suggestion("farme", kLaws), "; did you mean frame?");            // two swapped
}

TEST(Nearest, CompletesWhatOneNameAloneBeginsWith) {
  EXPECT_EQ(nearest("fra", kLaws), "frame");
  EXPECT_EQ(nearest("fr", kLaws), "frame");
  const std::vector<std::string> options = {"out", "optimizer", "option"};
  EXPECT_EQ(nearest("optim", options), "optimizer");  // though out is as near as any
  EXPECT_EQ(nearest("opt", options), "out");          // two begin so
}

TEST(Nearest, IsSilentWhereNothingIsNear) {
  EXPECT_EQ(suggestion("bernoulli", kLaws), "");
  EXPECT_EQ(suggestion("l2", {{"lr"}}), "");
  EXPECT_EQ(nearest("Gaussian", kLaws), "gaussian");
  EXPECT_EQ(suggestion("rf", kLaws), "");             // two of two letters may not be wrong
  EXPECT_EQ(suggestion("device", {{"divide"}}), "");  // nor two of six
  EXPECT_EQ(suggestion("0", {{"a", "b"}}), "");       // nor all of one
  EXPECT_EQ(suggestion("", kLaws), "");
  EXPECT_EQ(suggestion("frame", {}), "");
}

}  // namespace
}  // namespace slopewise
