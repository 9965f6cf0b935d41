#include "slopewise/audit/scale.hpp"

#include <gmock/gmock.h>

#include "slopewise/base/error.hpp"
#include "tests/audit/tasks.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr Wire kWire{.latency = 1e-3, .bandwidth = 1e6, .overhead = 1e-5};

TEST(Scale, AnswersThroughRankZeroTakeItsLineAndATree) {
  // Three ranks of a loss and eight slopes.
  const RankStep four = through_rank_zero(4, {.up = 3 * 40, .reply = 40, .all = 6 * 40, .most = 120}, kWire);
  EXPECT_DOUBLE_EQ(four.bytes, 240);
  EXPECT_DOUBLE_EQ(four.wire, 2 * (1e-3 + 3 * 1e-5) + 120e-6 + 3 * 40e-6);
  // Ranks 4 to 7 are a level further down, two by two.
  const RankStep eight = through_rank_zero(8, {.up = 7 * 40, .reply = 40, .all = 14 * 40, .most = 120}, kWire);
  EXPECT_DOUBLE_EQ(eight.wire, 3e-3 + (7 + 3 + 2) * 1e-5 + 280e-6 + 5 * 40e-6);
  EXPECT_EQ(through_rank_zero(1, {}, kWire).seconds(), 0);
}

TEST(Scale, AnAllreduceSendsEachEntryTwice) {
  const RankStep four = allreduce(4, 1000, kWire);
  EXPECT_DOUBLE_EQ(four.bytes, 4 * 2 * 0.75 * 4000);
  EXPECT_DOUBLE_EQ(four.wire, 4 * (1e-3 + 1e-5) + 6e-3);
  EXPECT_DOUBLE_EQ(allreduce(5, 1000, kWire).wire, 6 * (1e-3 + 1e-5) + 2 * 0.8 * 4e-3);
  EXPECT_EQ(allreduce(1, 1000, kWire).seconds(), 0);
}

class ScaleTest : public testing::Test {
 protected:
  ScaleTest() : data_(audited_digits(32)) {
    settings_.network = perceptron({16});
    settings_.batch = 32;
    settings_.optimizer = "sgd";
    settings_.method = {.estimator = "forward", .options = {.law = "rank-one", .tangents = 8}, .exact_head = false};
  }
  std::vector<ScalePoint> predict(std::vector<Index> ranks) const {
    return predict_scale(settings_, data_, make_network(settings_.network, data_.train.image_shape, NetworkTarget(10)),
                         ranks, kWire, true, 0.05, [](double) {});
  }
  DataSplit data_;
  TrainSettings settings_;
};

// Branches of the tree of pieces, or tangents, that are not rank 0's; a reply to each of its others.
TEST_F(ScaleTest, CountsWhatRanksSend) {
  const std::vector<ScalePoint> points = predict({1, 2, 3, 4, 100});
  const auto sent = [](double ranks, double numbers) { return (ranks - 1) * (4 + 4 + 4 * 9) + 4 * numbers; };
  EXPECT_EQ(points[0].examples.bytes, 0);
  EXPECT_EQ(points[1].examples.bytes, sent(2, 9));
  EXPECT_EQ(points[2].examples.bytes, sent(3, 18));
  EXPECT_EQ(points[3].examples.bytes, sent(4, 27));
  EXPECT_EQ(points[4].examples.bytes, sent(100, 32 * 9));  // one for each example, none of which is rank 0's
  EXPECT_EQ(points[1].tangents.bytes, sent(2, 4));
  EXPECT_EQ(points[2].tangents.bytes, sent(3, 6));
  EXPECT_EQ(points[3].tangents.bytes, sent(4, 6));
  EXPECT_EQ(points[4].tangents.bytes, sent(100, 9));
  EXPECT_EQ(points[1].both.bytes, sent(2, 4));
  EXPECT_EQ(points[3].both.bytes, sent(4, 5 + 4 + 4));
  EXPECT_EQ(points[4].both.bytes, sent(100, 32 * (5 + 4)));
  for (const ScalePoint& point : points) {
    // A piece takes no more than the whole.
    EXPECT_LE(point.examples.memory, points[0].examples.memory);
    for (const RankStep* step : {&point.examples, &point.tangents, &point.both, &point.backprop})
      EXPECT_GT(step->compute, 0);
  }
}

TEST_F(ScaleTest, TakesStepsAlongTangentsOfWeights) {
  settings_.method.estimator = "activities";
  settings_.method.options.law = "rademacher";
  EXPECT_THAT([&] { predict({2}); },
              ThrowsMessage<ArgumentError>(HasSubstr("expected steps along tangents of weights alone")));
}

}  // namespace
}  // namespace slopewise
