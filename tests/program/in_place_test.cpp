// Ops that write where they read: nobody can tell, but for the memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

constexpr Index kBatch = 19;

// x -> linear1 -> relu1 -> linear2 -> tanh1 -> linear3: both elementwise ops may write over what they read.
struct Chain {
  Node x = Builder().input("x", {10});
  Node first = linear(x, 40);
  Node rectified = relu(first);
  Node second = linear(rectified, 33);
  Node bent = tanh(second);
  Program program{labelled(linear(bent, kClasses))};
};

// The values of these nodes after a run that says the same as one that nobody asked for them.
template <class T>
std::vector<std::vector<T>> values_of(const Program& program, const std::vector<Index>& nodes, const Workload& base) {
  const Examples<T> examples(program, base.batch);
  const auto theta = random_parameters<T>(program);
  Workload workload = base;
  workload.outputs = nodes;
  Runner<T> runner(program, workload);
  if (workload.mode == Workload::Mode::kPullback) {
    std::vector<T> gradient(static_cast<std::size_t>(program.size()));
    runner.gradient(theta, examples.batch(), gradient);
    EXPECT_EQ(gradient, exact_gradient(program, theta, examples.batch()));
  } else {
    const auto tangents = random_tangents<T>(program, std::max<Index>(workload.tangents, 1));
    const Tangents<T>* given = workload.tangents > 0 ? &tangents : nullptr;
    const auto found = everything(runner.run(theta, examples.batch(), given));
    EXPECT_EQ(found, everything(Runner<T>(program, base).run(theta, examples.batch(), given)));
  }
  std::vector<std::vector<T>> values;
  for (std::size_t i = 0; i < nodes.size(); ++i) values.push_back(copy_of(runner.output(i)));
  return values;
}

// Outputs are what the nodes were before anything wrote over them, all together or alone, in every mode.
template <class T>
void expect_outputs() {
  const Chain chain;
  const std::vector<Index> nodes{chain.first.number(), chain.rectified.number(), chain.second.number(),
                                 chain.bent.number()};
  const Workload modes[] = {{.batch = kBatch},
                            {.batch = kBatch, .tangents = 2},
                            {.batch = kBatch, .tangents = 1, .order = 2},
                            {.batch = 150, .tangents = 1},
                            {.mode = Workload::Mode::kPullback, .batch = kBatch},
                            {.mode = Workload::Mode::kPullback, .batch = 1030},
                            {.mode = Workload::Mode::kPullback, .batch = kBatch, .checkpointed = true}};
  for (const Workload& mode : modes) {
    const auto values = values_of<T>(chain.program, nodes, mode);
    ASSERT_EQ(values[0].size(), static_cast<std::size_t>(mode.batch * 40));
    EXPECT_LT(*std::min_element(values[0].begin(), values[0].end()), 0);
    for (std::size_t i = 0; i < values[0].size(); ++i) ASSERT_EQ(values[1][i], std::max(values[0][i], T{0}));
    for (std::size_t i = 0; i < values[2].size(); ++i) ASSERT_NEAR(values[3][i], std::tanh(values[2][i]), 1e-6);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      EXPECT_EQ(values_of<T>(chain.program, {nodes[i]}, mode)[0], values[i]) << "node " << nodes[i];
    }
  }
}

TEST(InPlace, OutputsAreNotOverwritten) {
  expect_outputs<float>();
  expect_outputs<double>();
}

// A perturbation of y = W x + b at y, the same for all examples, is a tangent of b.
template <class T>
void expect_perturbed(double tolerance) {
  const Chain chain;
  const Examples<T> examples(chain.program, kBatch);
  const auto theta = random_parameters<T>(chain.program);
  const ParameterLayout& layout = chain.program.layout();
  for (const auto& [node, name] : {std::pair{chain.first, "linear1.bias"}, std::pair{chain.second, "linear2.bias"}}) {
    std::vector<TangentForm> forms(layout.segments.size(), TangentForm::kNone);
    const auto segment = static_cast<std::size_t>(
        std::find_if(layout.segments.begin(), layout.segments.end(),
                     [&, wanted = name](const Segment& candidate) { return candidate.name == wanted; }) -
        layout.segments.begin());
    forms[segment] = TangentForm::kDense;
    const Index size = layout.segments[segment].size();
    const std::vector<T> values = random_vector<T>(2 * size, 12);
    Tangents<T> tangents(layout, 2, forms);
    std::copy(values.begin(), values.end(), tangents.dense(static_cast<Index>(segment)));
    const Perturbation<T> perturbation = [&](std::size_t, Index, std::span<const T>, std::span<T> out) {
      std::copy_n(values.begin(), 2 * size, out.begin());
    };
    Runner<T> by_bias(chain.program, {.batch = kBatch, .tangents = 2, .order = 2, .forms = forms});
    const std::vector<TangentForm> none(layout.segments.size(), TangentForm::kNone);
    Runner<T> by_node(chain.program, {.batch = kBatch,
                                      .tangents = 2,
                                      .order = 2,
                                      .forms = none,
                                      .perturbed = {node.number()},
                                      .outputs = {node.number()}});
    const auto expected = everything(by_bias.run(theta, examples.batch(), &tangents));
    const auto found = everything(by_node.run(theta, examples.batch(), nullptr, perturbation));
    EXPECT_THAT(found, testing::Pointwise(testing::DoubleNear(tolerance * largest<double>(expected)), expected));
  }
}

TEST(InPlace, PerturbedNodesAreNotOverwritten) {
  expect_perturbed<float>(1e-5);
  expect_perturbed<double>(1e-13);
}

// The op that made the first number that is not finite is named, though others have written over it; and the runner
// works as before afterwards.
void expect_named(Node (*activation)(const Node&), float size, const char* op) {
  const Node h = activation(linear(Builder().input("x", {3}), 40));
  const Program program(labelled(linear(h, kClasses)));
  const Parameters<float> theta(std::vector<float>(static_cast<std::size_t>(program.size()), 0.5f));
  const Examples<float> good(program, 30);
  Examples<float> bad(program, 30);
  std::fill_n(bad.numbers(0).begin() + 3 * 17, 3, size);
  std::vector<float> gradient(static_cast<std::size_t>(program.size()));
  const auto tangents = random_tangents<float>(program, 2, TangentForm::kRankOne);
  const Workload workloads[] = {{.batch = 30},
                                {.batch = 30, .tangents = 2, .forms = tangents.forms()},
                                {.mode = Workload::Mode::kPullback, .batch = 30},
                                {.mode = Workload::Mode::kPullback, .batch = 30, .checkpointed = true},
                                {.mode = Workload::Mode::kDescent, .batch = 30},
                                {.mode = Workload::Mode::kDescent, .batch = 30, .checkpointed = true}};
  for (const Workload& workload : workloads) {
    const auto use = [&](Runner<float>& runner, const Examples<float>& examples) {
      if (!workload.backward()) {
        return everything(runner.run(theta, examples.batch(), workload.tangents > 0 ? &tangents : nullptr));
      }
      Parameters<float> moved = theta;
      const auto result = workload.mode == Workload::Mode::kDescent
                              ? runner.descend(moved, examples.batch(), 0.5)
                              : runner.gradient(theta, examples.batch(), gradient);
      std::vector<double> all = everything(result);
      const auto& changed =
          workload.mode == Workload::Mode::kDescent ? copy_of(std::as_const(moved).values()) : gradient;
      all.insert(all.end(), changed.begin(), changed.end());
      return all;
    };
    Runner<float> runner(program, workload);
    EXPECT_THAT([&] { use(runner, bad); },
                testing::ThrowsMessage<NumericError>(testing::AllOf(testing::HasSubstr(op), testing::HasSubstr("value"),
                                                                    testing::HasSubstr("example 17"))))
        << "mode " << static_cast<int>(workload.mode);
    Runner<float> fresh(program, workload);
    EXPECT_EQ(use(runner, good), use(fresh, good)) << "mode " << static_cast<int>(workload.mode);
  }
}

TEST(InPlace, ANumericErrorNamesTheOpThatMadeItAndLeavesTheRunnerWell) {
  expect_named(relu, 3e38f, "'linear1'");
  expect_named(exp, 100, "'exp1'");
}

// An activation costs no memory of its own: the network's is that of its products.
TEST(InPlace, ActivationsTakeNoMemory) {
  const auto activations = [](bool bend, const Workload& workload) {
    const Node h = linear(Builder().input("x", {64}), 256);
    return Program(labelled(linear(linear(bend ? relu(h) : h, 256), kClasses))).memory(workload).activations;
  };
  for (const Workload& workload : {Workload{.batch = 64}, Workload{.batch = 64, .tangents = 2},
                                   Workload{.mode = Workload::Mode::kPullback, .batch = 64},
                                   Workload{.mode = Workload::Mode::kDescent, .batch = 64}}) {
    EXPECT_EQ(activations(true, workload), activations(false, workload));
  }
}

}  // namespace
}  // namespace slopewise
