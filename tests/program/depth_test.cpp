// Building and planning take time in proportion to the depth of a network; by pairs of layers, the one here would take
// a day.
#include <gtest/gtest.h>

#include <vector>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/plan.hpp"

namespace slopewise {
namespace {

constexpr Index kDepth = 10'000, kWidth = 4;

struct Deep {
  std::vector<Index> sites;
  Index logits = -1;
  Program program = make();

  Program make() {
    Builder build;
    Node h = build.input("x", {kWidth});
    for (Index i = 0; i < kDepth; ++i) {
      h = relu(linear(h, kWidth));
      sites.push_back(h.number());
    }
    const Node top = linear(h, kWidth);
    logits = top.number();
    return Program(cross_entropy(top, build.indices("label", {})));
  }
};

TEST(Depth, EveryWorkloadOfADeepNetworkIsPlanned) {
  const Deep deep;
  EXPECT_EQ(deep.program.node(deep.sites.back()).name, "relu10000");
  EXPECT_EQ(deep.program.layout().segments.back().name, "linear10001.bias");
  const std::size_t segments = deep.program.layout().segments.size();
  const std::vector<TangentForm> none(segments, TangentForm::kNone), rank_one(segments, TangentForm::kRankOne);
  const auto arena = [&](const Workload& workload) { return make_plan(deep.program, workload, 2).arena; };

  // A layer and the next: nothing grows with depth. Rows of 4 entries, values and two tangents of two orders each.
  EXPECT_EQ(arena({.batch = 64}), 2 * 64 / 2 * kWidth);
  EXPECT_EQ(arena({.batch = 64, .tangents = 2, .order = 2, .forms = rank_one}), 5 * 2 * 64 / 2 * kWidth);
  // A pullback keeps every layer's output, and needs two cotangents besides.
  EXPECT_GE(arena({.mode = Workload::Mode::kPullback, .batch = 64}), kDepth * 64 * kWidth);
  EXPECT_GE(arena({.mode = Workload::Mode::kDescent, .batch = 64}), kDepth * 64 * kWidth);
  EXPECT_LT(arena({.mode = Workload::Mode::kPullback, .batch = 64, .checkpointed = true}), kDepth / 20 * 64 * kWidth);
  EXPECT_LT(arena({.mode = Workload::Mode::kPullback, .batch = 64, .checkpointed = true, .micro_batch = 1}),
            kDepth / 20 * kWidth * 4);
  EXPECT_GE(arena({.mode = Workload::Mode::kGiven,
                   .batch = 64,
                   .tangents = 2,
                   .forms = none,
                   .perturbed = deep.sites,
                   .cuts = deep.sites,
                   .error = deep.logits}),
            kDepth * 64 * kWidth);
}

}  // namespace
}  // namespace slopewise
