// Passes: what each is asked, growing with the batch, and what it says it needs.
#include "slopewise/program/pass.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

const Program& net() {
  static const Program program = perceptron(12, 20, 2);
  return program;
}

Index logits() {
  return net().node(net().loss()).inputs[0];
}
// The last hidden layer's outputs: what the layer of the logits reads.
Index hidden() {
  return net().node(logits()).inputs[0];
}

std::vector<double> copied(std::span<const double> values) {
  return {values.begin(), values.end()};
}

// The bits are those of a runner with room for the largest batch so far: how a batch is cut depends on the room.
TEST(Pass, GrowsWithTheBatchAndGivesTheBitsOfARunner) {
  const auto theta = random_parameters<double>(net());
  const std::vector<TangentForm> dense(net().layout().segments.size(), TangentForm::kDense);
  Tangents<double> tangents(net().layout(), 2, dense);
  for (std::size_t s = 0; s < dense.size(); ++s) {
    const std::vector<double> v = random_vector<double>(2 * net().layout().segments[s].size(), 3 + s);
    std::copy(v.begin(), v.end(), tangents.dense(static_cast<Index>(s)));
  }
  const Index output = logits();
  ForwardPass<double> forward(net(), {.tangents = 2, .outputs = {output}});
  ExactPass<double> exact(net(), {.outputs = {output}});
  Index room = 0;
  for (const Index rows : {Index{3}, Index{70}, Index{5}}) {
    room = std::max(room, rows);
    const Examples<double> examples(net(), rows);
    Runner<double> runner(net(), {.batch = room, .tangents = 2, .outputs = {output}});
    EXPECT_EQ(forward.run(theta, examples.batch(), &tangents).slopes,
              runner.run(theta, examples.batch(), &tangents).slopes);
    EXPECT_EQ(copied(forward.output(0)), copied(runner.output(0)));
    std::vector<double> found(static_cast<std::size_t>(net().size())), expected(found.size());
    exact.gradient(theta, examples.batch(), found);
    Runner<double> pullback(net(), {.mode = Workload::Mode::kPullback, .batch = room, .outputs = {output}});
    pullback.gradient(theta, examples.batch(), expected);
    EXPECT_EQ(found, expected);
    EXPECT_EQ(copied(exact.output(0)), copied(pullback.output(0)));
    DescentPass<double> descent(net());
    Parameters<double> moved = theta;
    descent.descend(moved, examples.batch(), 0.5);
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(std::as_const(moved).values()[i], theta.values()[i] - 0.5 * expected[i], 1e-14);
  }
}

// Nothing is left in it from one run to the next, whichever pass that is of, and whatever it holds.
TEST(Pass, WhatOthersCalculatedInASharedWorkspaceLeavesNoTrace) {
  const Program other = perceptron(12, 70, 3);
  const auto workspace = std::make_shared<Workspace>();
  const auto theta = random_parameters<double>(net());
  const auto other_theta = random_parameters<double>(other);
  const Index output = logits();
  ForwardPass<double> forward(net(), {.outputs = {output}}, workspace), alone(net(), {.outputs = {output}});
  ExactPass<double> exact(net(), {.checkpointed = true}, workspace), exact_alone(net(), {.checkpointed = true});
  DescentPass<double> descent(net(), {}, workspace), descent_alone(net());
  ExactPass<double> larger(other, {}, workspace);
  const auto fill = [&] {
    const Index bytes = 8 * exact.memory(9).working();
    std::fill_n(workspace->take(bytes), bytes, std::byte{0x7F});
  };
  for (const Index rows : {Index{9}, Index{3}}) {
    const Examples<double> examples(net(), rows), others(other, rows);
    std::vector<double> found(static_cast<std::size_t>(net().size())), expected(found.size());
    std::vector<double> of_other(static_cast<std::size_t>(other.size()));
    EXPECT_EQ(forward.run(theta, examples.batch()).loss, alone.run(theta, examples.batch()).loss);
    fill();
    exact.gradient(theta, examples.batch(), found);
    exact_alone.gradient(theta, examples.batch(), expected);
    EXPECT_EQ(found, expected);
    larger.gradient(other_theta, others.batch(), of_other);
    EXPECT_EQ(copied(forward.output(0)), copied(alone.output(0)));  // a pass's own
    Parameters<double> moved = theta, moved_alone = theta;
    descent.descend(moved, examples.batch(), 0.5);
    descent_alone.descend(moved_alone, examples.batch(), 0.5);
    EXPECT_EQ(copied(std::as_const(moved).values()), copied(std::as_const(moved_alone).values()));
  }
}

// Of any batch, before and after it has run, and for the number of threads asked for.
TEST(Pass, SaysWhatThePlanOfItsWorkloadSays) {
  GivenPass<float> given(net(), {.cuts = {hidden()}, .spare = true});
  const Workload workload{.mode = Workload::Mode::kGiven,
                          .batch = 33,
                          .forms = std::vector<TangentForm>(net().layout().segments.size(), TangentForm::kNone),
                          .cuts = {hidden()},
                          .spare = true};
  EXPECT_EQ(given.memory(33).total(), net().memory(workload).total());
  EXPECT_EQ(given.memory(33, 1).total(), net().memory(workload, sizeof(float), 1).total());
  EXPECT_EQ(given.cost(33).flops(), net().cost(workload).flops());
  ExactPass<float> exact(net(), {.checkpointed = true});
  const Workload pullback{.mode = Workload::Mode::kPullback, .batch = 33, .checkpointed = true};
  EXPECT_EQ(exact.memory(33).total(), net().memory(pullback).total());
  EXPECT_GT(ForwardPass<float>(net(), {.tangents = 1, .order = 2}).memory(33).total(),
            ForwardPass<float>(net(), {.tangents = 1}).memory(33).total());
}

// The spare memory has a cut's size and the next rows' does not overlap it.
TEST(Pass, SpareMemoryIsTheGiversOwn) {
  const Index second = hidden(), first = net().node(net().node(second).inputs[0]).inputs[0];
  const Examples<double> examples(net(), 4);
  GivenPass<double> pass(net(), {.cuts = {first, second}, .spare = true});
  std::vector<double> out(static_cast<std::size_t>(net().size()));
  int calls = 0;
  pass.given(
      random_parameters<double>(net()), examples.batch(), nullptr, {},
      [&](const GivenView<double>& view) {
        ++calls;
        for (const auto& cut : view.cuts) {
          ASSERT_EQ(cut.spare.size(), cut.value.size());
          std::fill(cut.cotangent.begin(), cut.cotangent.end(), 0.0);
        }
        std::fill(view.cuts[0].spare.begin(), view.cuts[0].spare.end(), 1.0);
        std::fill(view.cuts[1].spare.begin(), view.cuts[1].spare.end(), 2.0);
        EXPECT_THAT(view.cuts[0].spare, testing::Each(1.0));
      },
      out);
  EXPECT_EQ(calls, 1);
}

TEST(Pass, WhatDoesNotFitTheProgramIsRefusedAtTheFirstRun) {
  const Examples<double> examples(net(), 2);
  ForwardPass<double> pass(net(), {.outputs = {999}});
  EXPECT_THROW(pass.run(random_parameters<double>(net()), examples.batch()), ArgumentError);
  EXPECT_THROW(pass.memory(2), ArgumentError);
}

}  // namespace
}  // namespace slopewise
