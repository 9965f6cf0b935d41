// Exact gradients, and steps of descent that never hold one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

constexpr double kRate = 0.3;
// A batch in one tile of a pullback, and one in two of different heights.
constexpr Index kBatches[] = {1, 37, 1030};

template <class T>
class Descent {
 public:
  Descent(const Program& program, Index batch, bool checkpointed = false)
      : examples_(program, batch),
        runner_(program, {.mode = Workload::Mode::kDescent, .batch = batch, .checkpointed = checkpointed}) {}
  double step(Parameters<T>& theta) { return runner_.descend(theta, examples_.batch(), kRate).loss; }
  Batch<T> batch() const { return examples_.batch(); }

 private:
  Examples<T> examples_;
  Runner<T> runner_;
};

// θ − rate ∇ to the rounding of sums over the batch.
template <class T>
void expect_descent(const Program& program, Index batch, bool checkpointed) {
  const double tolerance = 50 * std::numeric_limits<T>::epsilon();
  Descent<T> descent(program, batch, checkpointed);
  Parameters<T> theta = random_parameters<T>(program);
  for (int step = 0; step < 2; ++step) {
    const std::vector<T> before = copy_of(theta.values());
    const std::vector<T> gradient = exact_gradient(program, theta, descent.batch());
    const double loss = Runner<T>(program, {.batch = batch}).run(theta, descent.batch()).loss;
    EXPECT_NEAR(descent.step(theta), loss, tolerance * std::abs(loss));
    const double scale = largest<T>(before) + kRate * largest<T>(gradient);
    for (std::size_t i = 0; i < before.size(); ++i) {
      ASSERT_NEAR(theta.values()[i], before[i] - kRate * gradient[i], tolerance * scale)
          << "entry " << i << " at step " << step << ", batch " << batch << (checkpointed ? ", checkpointed" : "");
    }
  }
}

class EveryDescent : public EveryProgram {};
SLOPEWISE_FOR_EVERY_PROGRAM(EveryDescent);

TEST_P(EveryDescent, IsAStepAlongTheGradient) {
  for (const Index batch : kBatches) {
    for (const bool checkpointed : {false, true}) {
      expect_descent<float>(program, batch, checkpointed);
      expect_descent<double>(program, batch, checkpointed);
    }
  }
}

// Micro-batches add up to the gradient of the whole batch, also where the last is smaller.
TEST_P(EveryDescent, MicroBatchesAddUpToTheBatch) {
  constexpr Index kBatch = 13;
  const Examples<double> examples(program, kBatch);
  const Parameters<double> theta = random_parameters<double>(program);
  const std::vector<double> whole = exact_gradient(program, theta, examples.batch());
  for (const bool checkpointed : {false, true}) {
    for (const Index micro : {1, 5, 13, 40}) {
      const Workload workload{
          .mode = Workload::Mode::kPullback, .batch = kBatch, .checkpointed = checkpointed, .micro_batch = micro};
      std::vector<double> found(whole.size());
      const double loss = Runner<double>(program, workload).gradient(theta, examples.batch(), found).loss;
      EXPECT_NEAR(loss, Runner<double>(program, {.batch = kBatch}).run(theta, examples.batch()).loss, 1e-12);
      const double tolerance = 1e-12 * (1 + largest<double>(whole));
      EXPECT_THAT(found, testing::Pointwise(testing::DoubleNear(tolerance), whole)) << micro;
    }
  }
}

TEST(MicroBatch, IsOfExactGradientsAlone) {
  Builder build;
  const Program program(cross_entropy(linear(build.input("x", {3}), 2), build.indices("label", {})));
  EXPECT_THROW(Runner<float>(program, {.batch = 4, .micro_batch = 2}), ArgumentError);
  EXPECT_THROW(Runner<float>(program, {.mode = Workload::Mode::kPullback, .batch = 4, .micro_batch = -1}),
               ArgumentError);
}

template <class T>
std::vector<T> after_two_steps(const Program& program, Index batch, bool checkpointed, int threads) {
  const ThreadScope with(threads);
  Descent<T> descent(program, batch, checkpointed);
  Parameters<T> theta = random_parameters<T>(program);
  descent.step(theta);
  descent.step(theta);
  return copy_of(theta.values());
}

TEST_P(EveryDescent, SameBitsAtAnyNumberOfThreadsAndWithCheckpoints) {
  for (const Index batch : {Index{37}, Index{1030}}) {
    const auto narrow = after_two_steps<float>(program, batch, false, 1);
    const auto wide = after_two_steps<double>(program, batch, false, 1);
    for (const bool checkpointed : {false, true}) {
      for (const int threads : {1, 2}) {
        EXPECT_EQ(after_two_steps<float>(program, batch, checkpointed, threads), narrow);
        EXPECT_EQ(after_two_steps<double>(program, batch, checkpointed, threads), wide);
      }
    }
  }
}

// However θ is held before: as numbers, packed and equal, packed and ahead, or packed alone.
TEST_P(EveryDescent, SameBitsHoweverParametersAreHeld) {
  for (const Index batch : {Index{20}, Index{1030}}) {
    Descent<float> descent(program, batch);
    Parameters<float> ahead = random_parameters<float>(program);
    descent.step(ahead);
    Parameters<float> flat(copy_of(std::as_const(ahead).values()));
    Parameters<float> equal = flat, compacted = flat;
    Runner<float>(program, {}).compact(compacted);
    Runner<float>(program, {.batch = batch}).run(equal, descent.batch());
    const double loss = descent.step(flat);
    for (Parameters<float>* theta : {&ahead, &equal, &compacted}) {
      EXPECT_EQ(descent.step(*theta), loss);
      EXPECT_EQ(copy_of(std::as_const(*theta).values()), copy_of(std::as_const(flat).values()));
    }
  }
}

template <class T>
void expect_same_gradient(const Program& program, Index batch) {
  const Examples<T> examples(program, batch);
  const auto theta = random_parameters<T>(program);
  const std::vector<T> gradient = [&] {
    const ThreadScope one(1);
    return exact_gradient(program, theta, examples.batch());
  }();
  for (const int threads : {1, 2}) {
    const ThreadScope with(threads);
    for (const bool checkpointed : {false, true}) {
      EXPECT_EQ(exact_gradient(program, theta, examples.batch(), checkpointed), gradient);
    }
  }
}

class EveryGradient : public EveryProgram {};
SLOPEWISE_FOR_EVERY_PROGRAM(EveryGradient);

TEST_P(EveryGradient, SameBitsAtAnyNumberOfThreadsAndWithCheckpoints) {
  for (const Index batch : kBatches) {
    expect_same_gradient<float>(program, batch);
    expect_same_gradient<double>(program, batch);
  }
}

// Float reads packed weights, double flat ones.
TEST_P(EveryGradient, OfPackedWeightsIsThatOfFlatOnes) {
  const Examples<float> narrow(program, 37);
  const Examples<double> wide(program, 37);
  const auto expected = exact_gradient(program, random_parameters<double>(program), wide.batch());
  const auto found = exact_gradient(program, random_parameters<float>(program), narrow.batch());
  const double scale = largest<double>(expected);
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-5 * scale) << "entry " << i;
}

// A step that cannot be taken leaves no trace in θ, even where the bad example is the last of many, and none in the
// runner.
template <class T>
void expect_no_trace(Index batch, bool checkpointed) {
  const Program program = perceptron(12, 30, 3);
  const Workload workload{.mode = Workload::Mode::kDescent, .batch = batch, .checkpointed = checkpointed};
  Runner<T> runner(program, workload);
  const Examples<T> good(program, batch);
  Examples<T> bad(program, batch);
  for (Index i = 0; i < 12; ++i) bad.numbers(0).end()[-1 - i] = std::numeric_limits<T>::max();
  Parameters<T> theta = random_parameters<T>(program, 0.8);
  const std::vector<T> before = copy_of(theta.values());
  EXPECT_THROW(runner.descend(theta, bad.batch(), kRate), NumericError);
  EXPECT_EQ(copy_of(std::as_const(theta).values()), before);

  runner.descend(theta, good.batch(), kRate);
  Parameters<T> other(before);
  Runner<T>(program, workload).descend(other, good.batch(), kRate);
  EXPECT_EQ(copy_of(std::as_const(theta).values()), copy_of(std::as_const(other).values()));
  EXPECT_NE(copy_of(std::as_const(theta).values()), before);
}

TEST(Descent, ALossThatIsNotFiniteLeavesNoTrace) {
  for (const Index batch : {Index{1}, Index{50}, Index{1030}}) {
    for (const bool checkpointed : {false, true}) {
      expect_no_trace<float>(batch, checkpointed);
      expect_no_trace<double>(batch, checkpointed);
    }
  }
}

TEST(Descent, NeedsItsOwnWorkload) {
  const Program program = perceptron(4, 3, 1);
  const Examples<float> examples(program, 2);
  Parameters<float> theta = random_parameters<float>(program);
  std::vector<float> gradient(static_cast<std::size_t>(program.size()));
  Runner<float> descent(program, {.mode = Workload::Mode::kDescent, .batch = 2});
  Runner<float> pullback(program, {.mode = Workload::Mode::kPullback, .batch = 2});
  EXPECT_THROW(pullback.descend(theta, examples.batch(), 1), ArgumentError);
  EXPECT_THROW(descent.gradient(theta, examples.batch(), gradient), ArgumentError);
  EXPECT_THROW(descent.run(theta, examples.batch()), ArgumentError);
  EXPECT_THROW(Runner<float>(program, {.tangents = 1, .checkpointed = true}), ArgumentError);
  EXPECT_THROW(Runner<float>(program, {.mode = Workload::Mode::kDescent, .tangents = 1}), ArgumentError);
  Parameters<float> other(program.size() + 1);
  EXPECT_THROW(descent.descend(other, examples.batch(), 1), ShapeError);
}

TEST(Memory, OfCheckpointsGrowsLikeTheRootOfTheDepth) {
  for (const Workload::Mode mode : {Workload::Mode::kPullback, Workload::Mode::kDescent}) {
    const auto activations = [mode](Index depth, bool checkpointed) {
      return static_cast<double>(
          perceptron(64, 64, depth).memory({.mode = mode, .batch = 256, .checkpointed = checkpointed}).activations);
    };
    // What a layer of 256 examples leaves behind.
    const double layer = 256 * 64 * sizeof(float);
    for (const Index depth : {16, 64, 256}) {
      const double root = std::sqrt(static_cast<double>(depth));
      EXPECT_GE(activations(depth, false), static_cast<double>(depth) * layer);
      // √depth kept between groups, √depth within one, and the cotangents of two layers.
      EXPECT_LE(activations(depth, true), (2 * root + 4) * layer) << "depth " << depth;
      EXPECT_GE(activations(depth, true), 1.5 * root * layer) << "depth " << depth;
    }
  }
}

// A descent holds the gradients of those parameters alone that it cannot change as soon as they are known: read by
// several ops, by ops that are no linear layers, or summed over several tiles.
TEST(Memory, ADescentHoldsNoGradientItCanAdd) {
  const auto held = [](const Program& program, Index batch) {
    return program.memory({.mode = Workload::Mode::kDescent, .batch = batch}, sizeof(double)).gradient /
           static_cast<Index>(sizeof(double));
  };
  const Program deep = perceptron(64, 64, 8);
  EXPECT_EQ(held(deep, 1024), 0);
  EXPECT_GE(held(deep, 1025), deep.size());
  for (const SampleProgram& sample : sample_programs()) {
    if (sample.name != "TiedWeights") continue;
    const Program tied = sample.make();
    EXPECT_GE(held(tied, 8), 30 * 30 + 30);
    EXPECT_LT(held(tied, 8), tied.size());
  }
  EXPECT_EQ(deep.memory({.mode = Workload::Mode::kPullback}).gradient, deep.size() * Index{sizeof(float)});
}

TEST(Cost, CountsWhatCheckpointsMakeAgain) {
  for (const Workload::Mode mode : {Workload::Mode::kPullback, Workload::Mode::kDescent}) {
    const Program program = perceptron(64, 64, 64);
    const CostReport plain = program.cost({.mode = mode, .batch = 16});
    const CostReport again = program.cost({.mode = mode, .batch = 16, .checkpointed = true});
    EXPECT_EQ(again.pullback_flops, plain.pullback_flops);
    EXPECT_EQ(plain.value_flops, program.cost({.batch = 16}).value_flops);
    // All but the last of each of 8 groups, and all of the last group, are made twice.
    EXPECT_GT(again.value_flops, 1.6 * plain.value_flops);
    EXPECT_LT(again.value_flops, 2 * plain.value_flops);
  }
}

}  // namespace
}  // namespace slopewise
