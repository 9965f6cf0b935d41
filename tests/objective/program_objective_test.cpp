#include "slopewise/objective/program_objective.hpp"
#include "slopewise/objective/example_batch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/program/ops.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kInputs = 6;

Program perceptron(Index width) {
  const Node h = tanh(linear(Builder().input("x", {kInputs}), width));
  return Program(cross_entropy(linear(h, 3), Builder(h).indices("label", {})));
}

// `rows` examples; the first ones are the same whatever their number.
template <class T>
struct Examples {
  std::vector<T> x;
  std::vector<std::int32_t> labels;

  explicit Examples(Index rows) : x(random_vector<T>(rows * kInputs, 3)) {
    for (Index i = 0; i < rows; ++i) labels.push_back(static_cast<std::int32_t>(i % 3));
  }
  Batch<T> batch() const {
    return {.rows = static_cast<Index>(labels.size()),
            .inputs = {std::span<const T>(x), std::span<const std::int32_t>(labels)}};
  }
};

// The same tangents of a layout in any form its blocks allow.
template <class T>
Tangents<T> random_tangents(const ParameterLayout& layout, Index count, TangentForm weights) {
  std::vector<TangentForm> forms(layout.segments.size(), TangentForm::kDense);
  for (const Block& block : layout.blocks) forms[static_cast<std::size_t>(block.weight)] = weights;
  Tangents<T> tangents(layout, count, forms);
  RandomStream random(8);
  for (std::size_t i = 0; i < forms.size(); ++i) {
    const auto number = static_cast<Index>(i);
    if (forms[i] == TangentForm::kDense) {
      std::generate_n(tangents.dense(number), count * layout.segments[i].size(),
                      [&] { return static_cast<T>(random.uniform(-1, 1)); });
      continue;
    }
    for (Index k = 0; k < count; ++k) {
      for (T& entry : tangents.left(number, k)) entry = static_cast<T>(random.uniform(-1, 1));
      for (T& entry : tangents.right(number, k)) entry = static_cast<T>(random.uniform(-1, 1));
    }
  }
  return tangents;
}

template <class T>
class ProgramObjectiveOf : public testing::Test {};
using Numbers = testing::Types<float, double>;
TYPED_TEST_SUITE(ProgramObjectiveOf, Numbers);

TYPED_TEST(ProgramObjectiveOf, LossSlopesAndGradientAgree) {
  using T = TypeParam;
  const double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-13;
  const Program program = perceptron(20);
  const Examples<T> examples(37);
  ProgramObjective<T> objective(program, examples.batch());
  EXPECT_EQ(objective.size(), program.size());
  EXPECT_TRUE(objective.has_gradient());
  const auto theta = initialize<T>(program.layout(), 1);
  const double loss = objective.loss(theta);
  std::vector<T> gradient(static_cast<std::size_t>(program.size()));
  EXPECT_NEAR(objective.gradient(theta, gradient), loss, tolerance);
  const std::vector<double> wide(gradient.begin(), gradient.end());

  std::vector<T> v(gradient.size());
  for (const TangentForm form : {TangentForm::kDense, TangentForm::kRankOne}) {
    for (const Index count : {1, 3}) {
      const auto tangents = random_tangents<T>(program.layout(), count, form);
      const Slopes found = objective.slopes(theta, tangents);
      EXPECT_NEAR(found.loss, loss, tolerance);
      ASSERT_EQ(found.slopes.size(), static_cast<std::size_t>(count));
      for (Index k = 0; k < count; ++k) {
        tangents.expand(k, v);
        EXPECT_NEAR(found.slopes[static_cast<std::size_t>(k)], inner_product<T>(v, wide), 5 * tolerance);
      }
    }
  }
}

// vᵀHv against the difference of slopes.
TEST(ProgramObjective, CurvaturesComeWithTheSlopes) {
  const Program program = perceptron(7);
  const Examples<double> examples(11);
  ProgramObjective<double> objective(program, examples.batch());
  const auto theta = initialize<double>(program.layout(), 1);
  const auto tangents = random_tangents<double>(program.layout(), 2, TangentForm::kDense);
  const Slopes first = objective.slopes(theta, tangents);
  const Slopes found = objective.curvatures(theta, tangents);
  ASSERT_EQ(found.curvatures.size(), 2u);
  EXPECT_NEAR(found.loss, first.loss, 1e-14);
  std::vector<double> v(static_cast<std::size_t>(program.size()));
  for (std::size_t k = 0; k < 2; ++k) {
    EXPECT_NEAR(found.slopes[k], first.slopes[k], 1e-13);
    tangents.expand(static_cast<Index>(k), v);
    const auto slope_at = [&](double step) {
      std::vector<double> moved(theta.values().begin(), theta.values().end());
      for (std::size_t i = 0; i < v.size(); ++i) moved[i] += step * v[i];
      return objective.slopes(Parameters<double>(std::move(moved)), tangents).slopes[k];
    };
    EXPECT_NEAR(found.curvatures[k], (slope_at(1e-4) - slope_at(-1e-4)) / 2e-4,
                1e-6 * (1 + std::abs(found.curvatures[k])));
  }
}

// What an objective says of a batch does not depend on the batches it was bound to before.
// The mean of squares of the examples' own slopes; the values of the output node in whatever ran last.
TEST(ProgramObjective, SlopesOfExamplesAndTheOutputComeAlong) {
  const Program program = perceptron(7);
  const Examples<double> examples(11);
  const Index output = program.node(program.loss()).inputs[0];  // the logits
  ProgramObjective<double> objective(program, examples.batch(), {.output = output});
  EXPECT_TRUE(objective.output().empty());
  const auto theta = initialize<double>(program.layout(), 1);
  const auto tangents = random_tangents<double>(program.layout(), 2, TangentForm::kDense);
  const Slopes found = objective.slopes(theta, tangents);
  Runner<double> runner(program, {.batch = 11, .tangents = 2, .outputs = {output}});
  const RunResult<double> run = runner.run(theta, examples.batch(), &tangents);
  EXPECT_EQ(found.examples, 11);
  for (std::size_t k = 0; k < 2; ++k) {
    double squares = 0;
    for (std::size_t b = 0; b < 11; ++b) squares += std::pow(run.example_slopes[k * 11 + b], 2) / 11;
    EXPECT_NEAR(found.example_squares[k], squares, 1e-12 * squares);
  }
  const std::vector<double> made(runner.output(0).begin(), runner.output(0).end());
  const auto expect_output = [&] {
    EXPECT_THAT(std::vector<double>(objective.output().begin(), objective.output().end()),
                testing::Pointwise(testing::DoubleNear(1e-14), made));
  };
  expect_output();
  std::vector<double> gradient(static_cast<std::size_t>(program.size()));
  objective.gradient(theta, gradient);
  expect_output();
  // Differences of losses move θ; the last of them does not.
  central_differences<double>(objective, theta, tangents, 1e-2);
  expect_output();
}

TEST(ProgramObjective, BindTakesSmallerAndLargerBatches) {
  const Program program = perceptron(9);
  const auto theta = initialize<double>(program.layout(), 1);
  const auto tangents = random_tangents<double>(program.layout(), 2, TangentForm::kRankOne);
  const auto everything = [&](ProgramObjective<double>& objective) {
    std::vector<double> all(static_cast<std::size_t>(program.size()));
    all.push_back(objective.gradient(theta, std::span(all)));
    all.push_back(objective.loss(theta));
    const Slopes found = objective.slopes(theta, tangents);
    all.insert(all.end(), found.slopes.begin(), found.slopes.end());
    const Slopes second = objective.curvatures(theta, tangents);
    all.insert(all.end(), second.curvatures.begin(), second.curvatures.end());
    return all;
  };
  const Examples<double> first(10);
  ProgramObjective<double> rebound(program, first.batch());
  everything(rebound);
  for (const Index rows : {3, 50, 1, 300, 10}) {
    const Examples<double> examples(rows);
    rebound.bind(examples.batch());
    ProgramObjective<double> fresh(program, examples.batch());
    EXPECT_THAT(everything(rebound), testing::Pointwise(testing::DoubleNear(1e-13), everything(fresh)))
        << rows << " examples";
  }
}

// The number of threads may change between runs of one objective.
TEST(ProgramObjective, SameBitsAtAnyNumberOfThreads) {
  const Program program = perceptron(64);
  const Examples<float> examples(400);
  ProgramObjective<float> objective(program, examples.batch());
  const auto theta = initialize<float>(program.layout(), 1);
  const auto tangents = random_tangents<float>(program.layout(), 2, TangentForm::kRankOne);
  const auto everything = [&](int threads) {
    const ThreadScope with(threads);
    std::vector<float> gradient(static_cast<std::size_t>(program.size()));
    std::vector<double> all = objective.slopes(theta, tangents).slopes;
    all.push_back(objective.loss(theta));
    all.push_back(objective.gradient(theta, gradient));
    all.insert(all.end(), gradient.begin(), gradient.end());
    return all;
  };
  const std::vector<double> one = everything(1);
  EXPECT_EQ(one, everything(4));
  EXPECT_EQ(one, everything(2));
}

// Slopes alone are asked for in bfloat16; they are those of a runner that is, and everything else is as in float32.
TEST(ProgramObjective, PrecisionOfTangentsIsThatOfTheOptions) {
  if (!has_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  const Node h = tanh(linear(tanh(linear(Builder().input("x", {kInputs}), 40)), 70));
  const Program program(cross_entropy(linear(h, 3), Builder(h).indices("label", {})));
  const Examples<float> examples(20);
  const auto theta = initialize<float>(program.layout(), 1);
  const auto tangents = random_tangents<float>(program.layout(), 2, TangentForm::kRankOne);
  ProgramObjective<float> exact(program, examples.batch());
  ProgramObjective<float> rounded(program, examples.batch(), {.precision = Precision::kBfloat16Tangents});
  const Slopes found = rounded.slopes(theta, tangents);
  EXPECT_NE(found.slopes, exact.slopes(theta, tangents).slopes);
  EXPECT_EQ(found.loss, exact.slopes(theta, tangents).loss);
  Runner<float> runner(
      program, {.batch = 20, .tangents = 2, .forms = tangents.forms(), .precision = Precision::kBfloat16Tangents});
  EXPECT_EQ(found.slopes, runner.run(theta, examples.batch(), &tangents).slopes);
  EXPECT_EQ(rounded.loss(theta), exact.loss(theta));
  const double curvature = exact.curvatures(theta, tangents).curvatures[0];
  EXPECT_NEAR(rounded.curvatures(theta, tangents).curvatures[0], curvature, 0x1p-8 * std::abs(curvature));
  std::vector<float> one(static_cast<std::size_t>(program.size())), other = one;
  EXPECT_EQ(rounded.gradient(theta, one), exact.gradient(theta, other));
  EXPECT_EQ(one, other);
}

TEST(ProgramObjective, ErrorsAreThoseOfTheProgram) {
  const Program program = perceptron(4);
  const Examples<double> examples(5);
  ProgramObjective<double> objective(program, examples.batch());
  const auto theta = initialize<double>(program.layout(), 1);
  const auto tangents = random_tangents<double>(program.layout(), 1, TangentForm::kDense);
  const Parameters<double> other(program.size() + 1);
  std::vector<double> gradient(static_cast<std::size_t>(program.size()));
  EXPECT_THROW(objective.loss(other), ShapeError);
  EXPECT_THROW(objective.slopes(other, tangents), ShapeError);
  EXPECT_THROW(objective.gradient(other, gradient), ShapeError);
  EXPECT_THROW(objective.gradient(theta, std::span(gradient).first(3)), ShapeError);
  EXPECT_THROW(objective.slopes(theta, random_tangents<double>(perceptron(5).layout(), 1, TangentForm::kDense)),
               ShapeError);

  Parameters<double> broken = theta;
  broken.edit()[0] = std::nan("");
  EXPECT_THROW(objective.loss(broken), NumericError);
  EXPECT_THROW(objective.slopes(broken, tangents), NumericError);
  EXPECT_THROW(objective.gradient(broken, gradient), NumericError);
  EXPECT_NO_THROW(objective.loss(theta));

  const Examples<double> none(0);
  objective.bind(none.batch());
  EXPECT_THROW(objective.loss(theta), Error);
}

TEST(ExampleBatch, HoldsTheImagesAskedFor) {
  const Dataset dataset{.name = "four",
                        .image_shape = {1, 2, 1},
                        .classes = 3,
                        .inputs = Rows(std::vector<std::uint8_t>{0, 255, 51, 0, 102, 255, 0, 0}, 2),
                        .labels = {2, 0, 1, 2}};
  const std::vector<Index> indices{2, 0, 2};
  const ExampleBatch<double> images(dataset, indices);
  EXPECT_THAT(images.images(), testing::ElementsAre(0.4, 1, 0, 1, 0.4, 1));
  EXPECT_THAT(images.labels(), testing::ElementsAre(1, 2, 1));
  const Batch<double> batch = images.batch();
  EXPECT_EQ(batch.rows, 3);
  ASSERT_EQ(batch.inputs.size(), 2u);
  EXPECT_EQ(std::get<0>(batch.inputs[0]).data(), images.images().data());
  EXPECT_EQ(std::get<1>(batch.inputs[1]).data(), images.labels().data());
  EXPECT_THROW(ExampleBatch<float>(dataset, std::vector<Index>{4}), ArgumentError);
}

}  // namespace
}  // namespace slopewise
