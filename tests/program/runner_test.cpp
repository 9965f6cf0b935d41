#include "slopewise/program/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <new>

#include "slopewise/base/error.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

// A batch in pieces gives what the whole gives: examples do not know of each other.
TEST(Runner, PerExampleLossesDoNotDependOnTheBatch) {
  const Program program = perceptron(12, 16, 2);
  const Examples<double> examples(program, 70);
  const auto parameters = random_parameters<double>(program, 0.4);
  Runner<double> runner(program, {.batch = 70});
  const Batch<double> all = examples.batch();
  const std::vector<double> losses = copy_of(runner.run(parameters, all).losses);
  for (std::size_t i = 0; i < 70; ++i) {
    const Batch<double> one{
        .rows = 1,
        .inputs = {std::get<0>(all.inputs[0]).subspan(i * 12, 12), std::get<1>(all.inputs[1]).subspan(i, 1)}};
    EXPECT_NEAR(runner.run(parameters, one).loss, losses[i], 1e-13);
  }
}

TEST(Runner, APullbackOfSeveralTilesSumsThem) {
  const Program program = perceptron(3, 4, 1);
  const Examples<double> examples(program, 2500);  // more than one tile of a pullback
  const auto parameters = random_parameters<double>(program, 0.5);
  const auto gradient = exact_gradient(program, parameters, examples.batch());
  const auto tangents = random_tangents<double>(program, 1);
  const double slope =
      Runner<double>(program, {.batch = 2500, .tangents = 1}).run(parameters, examples.batch(), &tangents).slopes[0];
  EXPECT_NEAR(inner_product<double>(gradient, expanded(tangents, 0)), slope, 1e-12);
}

TEST(Memory, AForwardStepDoesNotGrowWithDepth) {
  const auto memory = [](Index depth, Workload workload) {
    const Program program = perceptron(64, 64, depth);
    if (workload.tangents > 0) {
      for (const Segment& segment : program.layout().segments) {
        workload.forms.push_back(segment.shape.rank() == 2 ? TangentForm::kRankOne : TangentForm::kDense);
      }
    }
    return program.memory(workload);
  };
  const Workload rank_one{.batch = 256, .tangents = 1};
  const Workload exact{.mode = Workload::Mode::kPullback, .batch = 256};
  EXPECT_EQ(memory(4, rank_one).activations, memory(16, rank_one).activations);
  EXPECT_EQ(memory(4, rank_one).activations, memory(64, rank_one).activations);
  EXPECT_EQ(memory(4, {.batch = 256}).activations, memory(64, {.batch = 256}).activations);
  EXPECT_EQ(memory(64, rank_one).shared, 0);
  // A pullback keeps every layer: 60 further layers of 256 × 64 floats.
  EXPECT_GE(memory(64, exact).activations - memory(4, exact).activations, 60 * 256 * 64 * Index{sizeof(float)});
  // Factors, not matrices: at most two vectors a layer and the bias.
  EXPECT_LE(memory(64, rank_one).tangents, 65 * 3 * 64 * Index{sizeof(float)});
}

// Its bytes do not fit an Index, though each extent is allowed.
TEST(Memory, WhatNoMemoryHoldsIsRefused) {
  constexpr Index kWide = Index{1} << 20;
  Builder build;
  const Node x = build.input("x", {kWide});
  const Program program(mean(add(reshape(x, {kWide, 1}), reshape(x, {1, kWide}))));
  const std::vector<float> values(kWide);
  for (const Index tangents : {524287, 999999}) {
    Runner<float> runner(program, {.batch = 1, .tangents = tangents, .perturbed = {x.number()}});
    const Perturbation<float> none = [](std::size_t, Index, std::span<const float>, std::span<float>) {};
    EXPECT_THROW(runner.run(Parameters<float>(0), {.rows = 1, .inputs = {values}}, nullptr, none), std::bad_alloc);
  }
}

TEST(Memory, ScratchGrowsWithTheThreads) {
  const Program program = perceptron(64, 512, 2);
  const Workload workload{.batch = 64, .tangents = 2};
  EXPECT_LE(program.memory(workload, sizeof(float), 16).scratch,
            16 * program.memory(workload, sizeof(float), 1).scratch);
}

TEST(Cost, RankOneTangentsCostFewerProductsThanBackprop) {
  const Program program = perceptron(512, 512, 4);
  std::vector<TangentForm> forms;
  for (const Segment& segment : program.layout().segments)
    forms.push_back(segment.shape.rank() == 2 ? TangentForm::kRankOne : TangentForm::kDense);
  const double value = program.cost({.batch = 64}).flops();
  const double rank_one = program.cost({.batch = 64, .tangents = 1, .forms = forms}).flops();
  const double dense = program.cost({.batch = 64, .tangents = 1}).flops();
  const double exact = program.cost({.mode = Workload::Mode::kPullback, .batch = 64}).flops();
  EXPECT_NEAR(exact / value, 2.75, 0.05);     // 1 + 2 but for the first layer's input
  EXPECT_NEAR(dense / value, 2.75, 0.05);     // 1 + 2 but for the first layer's W ẋ
  EXPECT_NEAR(rank_one / value, 1.75, 0.05);  // 1 + 1 but for the first layer
}

TEST(Errors, NameTheOpThatMadeANaN) {
  Builder build;
  const Node x = build.input("x", {3});
  const Program program(sum(exp(scale(log(square(x)), 0.5))));
  Runner<double> runner(program, {.batch = 2});
  const std::vector<double> values{1, 2, 3, 4, 0, 6};
  try {
    runner.run(Parameters<double>(Index{0}), {.rows = 2, .inputs = {std::span<const double>(values)}});
    // exp(log(0) / 2) is 0: the infinity never reaches the loss.
  } catch (const NumericError&) {
    FAIL() << "a finite loss must not be reported";
  }
  Builder other;
  const Program bad(sum(sqrt(sub(square(other.input("x", {3})), other.parameter("p", {3}, {}, 3)))));
  try {
    Runner<double>(bad, {.batch = 2})
        .run(Parameters<double>(std::vector<double>{1, 9, 1}),
             {.rows = 2, .inputs = {std::span<const double>(values)}});
    FAIL() << "√ of a negative number was not reported";
  } catch (const NumericError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("sqrt1"));
    EXPECT_THAT(error.what(), testing::HasSubstr("example 0, entry 1"));
  }
  try {
    Runner<double>(bad, {.batch = 2})
        .run(Parameters<double>(std::vector<double>{1, NAN, 1}),
             {.rows = 2, .inputs = {std::span<const double>(values)}});
    FAIL() << "a NaN parameter was not reported";
  } catch (const NumericError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("parameter 'p'"));
  }
}

TEST(Errors, ABatchThatDoesNotFitIsNamed) {
  const Program program = perceptron(4, 3, 1);
  Runner<float> runner(program, {.batch = 2});
  const auto parameters = random_parameters<float>(program);
  const Examples<float> data(program, 2);
  EXPECT_NO_THROW(runner.run(parameters, data.batch()));
  EXPECT_THROW(runner.run(Parameters<float>(Index{3}), data.batch()), ShapeError);
  EXPECT_THROW(runner.run(parameters, Examples<float>(program, 3).batch()), ShapeError);
  EXPECT_THROW(runner.run(parameters, Examples<float>(perceptron(5, 3, 1), 2).batch()), ShapeError);
  EXPECT_THROW(runner.run(parameters, {.rows = 2, .inputs = {}}), ShapeError);
  EXPECT_THROW(Runner<float>(program, {.batch = 0}), ArgumentError);
  EXPECT_THROW(Runner<float>(program, {.batch = 1, .perturbed = {99}}), ArgumentError);
  Runner<float> slopes(program, {.batch = 2, .tangents = 2});
  EXPECT_THROW(slopes.run(parameters, data.batch()), ShapeError);
  const auto three = random_tangents<float>(program, 3);
  EXPECT_THROW(slopes.run(parameters, data.batch(), &three), ShapeError);
  EXPECT_THROW(Tangents<float>(program.layout(), 0, {}), ArgumentError);
}

// Tangents that enter at an op of which nothing upstream moves: the slope is that of the rest of the program.
TEST(Runner, PerturbsAnOpWithStillInputs) {
  Builder build;
  const Node x = build.input("x", {3});
  const Node y = tanh(x);
  const Program program(sum(square(y)));
  const std::vector<double> values{0.1, -0.2, 0.3, 0.4, 0.5, -0.6};
  const std::vector<double> direction{1, -1, 2, 0.5, 1.5, -1};
  Runner<double> runner(program, {.batch = 2, .tangents = 1, .order = 2, .perturbed = {y.number()}});
  const Perturbation<double> fill = [&](std::size_t, Index example, std::span<const double>, std::span<double> out) {
    std::copy_n(direction.begin() + example * 3, 3, out.begin());
  };
  const auto result =
      runner.run(Parameters<double>(Index{0}), {.rows = 2, .inputs = {std::span<const double>(values)}}, nullptr, fill);
  for (std::size_t b = 0; b < 2; ++b) {
    double slope = 0;
    for (std::size_t i = b * 3; i < b * 3 + 3; ++i) slope += 2 * std::tanh(values[i]) * direction[i];
    EXPECT_NEAR(result.example_slopes[b], slope, 1e-15);
  }
  EXPECT_NEAR(result.curvatures[0], (2 * (1 + 1 + 4) + 2 * (0.25 + 2.25 + 1)) / 2, 1e-14);
}

// Two programs may read one θ by other shapes; neither sees what the other packed.
TEST(Runner, ProgramsThatShareParametersDoNotShareWeightShapes) {
  const auto program = [](Index inputs, Index outputs) {
    Builder build;
    return Program(sum(linear(build.input("x", {inputs}), outputs, false)));
  };
  const Program wide = program(20, 40);
  const Program tall = program(40, 20);
  const auto parameters = random_parameters<float>(wide);
  const std::vector<float> x(40, 1.0f);
  const auto loss = [&](const Program& of, const Parameters<float>& theta, std::size_t inputs) {
    return Runner<float>(of, {}).run(theta, {.rows = 1, .inputs = {std::span(x).first(inputs)}}).loss;
  };
  loss(wide, parameters, 20);
  EXPECT_EQ(loss(tall, parameters, 40), loss(tall, Parameters<float>(parameters), 40));
}

TEST(Errors, ANaNIsTracedThroughPerturbedRuns) {
  Builder build;
  const Node x = build.input("x", {1});
  const Program program(sum(log(square(square(square(x))))));
  const std::vector<double> values{1, 2, 0, 3};
  Runner<double> runner(program, {.batch = 4, .tangents = 1, .perturbed = {0}});
  const Perturbation<double> one = [](std::size_t, Index, std::span<const double>, std::span<double> out) {
    out[0] = 1;
  };
  try {
    runner.run(Parameters<double>(Index{0}), {.rows = 4, .inputs = {std::span<const double>(values)}}, nullptr, one);
    FAIL() << "log(0) was not reported";
  } catch (const NumericError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("log1"));
    EXPECT_THAT(error.what(), testing::HasSubstr("example 2"));
  }
}

TEST(Errors, WhatCannotBeComputedIsRefused) {
  Builder build;
  const Node token = build.indices("token", {});
  EXPECT_THROW(square(token), ShapeError);
  EXPECT_THROW(Program{token}, ShapeError);
  const Node weight = build.parameter("w", {2, 3}, {}, 2);
  const Node bias = build.bias("b", weight);
  EXPECT_THROW(build.bias("again", weight), ArgumentError);
  EXPECT_THROW(build.bias("of a bias", bias), ArgumentError);

  const Program program = perceptron(4, 3, 1);
  EXPECT_THROW(Runner<float>(program, {.batch = Index{1} << 62}), ArgumentError);
  EXPECT_THROW(Runner<float>(program, {.batch = 1, .tangents = Index{1} << 62}), ArgumentError);
  const Tangents<float> foreign(ParameterLayout::vector(program.size()), 1, {TangentForm::kDense});
  Runner<float> slopes(program, {.batch = 2, .tangents = 1});
  EXPECT_THROW(slopes.run(random_parameters<float>(program), Examples<float>(program, 2).batch(), &foreign),
               ShapeError);
}

TEST(Errors, AGradientThatIsNotFiniteIsReported) {
  Builder build;
  const Program program(sum(sqrt(build.parameter("p", {2}, {}, 2))));
  const Parameters<double> at_zero(std::vector<double>{1, 0});
  std::vector<double> gradient(2);
  EXPECT_NO_THROW(Runner<double>(program, {}).run(at_zero, {.rows = 1, .inputs = {}}));
  try {
    Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(at_zero, {.rows = 1, .inputs = {}}, gradient);
    FAIL() << "an infinite gradient was not reported";
  } catch (const NumericError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("parameter 'p'"));
  }
}

TEST(Errors, AnUnusedParameterIsRefused) {
  Builder build;
  const Node x = build.input("x", {2});
  build.parameter("idle", {2}, {}, 2);
  EXPECT_THROW(Program{sum(x)}, ArgumentError);
}

}  // namespace
}  // namespace slopewise
