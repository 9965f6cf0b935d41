// Products with weights in bfloat16: how far from float32, and what stays exact.
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

constexpr Index kTangents = 256;
constexpr Index kTogether = 16;

template <class T>
RunResult<T> run(const Program& program, const Parameters<T>& theta, const Batch<T>& batch, const Tangents<T>& tangents,
                 Precision precision) {
  Runner<T> runner(
      program, {.batch = batch.rows, .tangents = tangents.count(), .forms = tangents.forms(), .precision = precision});
  RunResult<T> result = runner.run(theta, batch, &tangents);
  result.losses = {};  // the runner's own
  result.example_slopes = {};
  return result;
}

class EveryPrecision : public EveryProgram {
 protected:
  void SetUp() override {
    if (!has_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  }
};
SLOPEWISE_FOR_EVERY_PROGRAM(EveryPrecision);

// Rounded to the nearest of 8 binary digits, a factor errs by at most 2⁻⁹, about 2⁻⁹/√3 r.m.s., and a product of two by
// √2 times that; d products in a row by at most √d times as much, here d ≤ 3: 2⁻⁸ r.m.s. is above all of it. The 256
// errors have no systematic sign and shrink no slope (7 programs, 2 forms, 2 means at 8e-11: false alarm rate 2e-9).
TEST_P(EveryPrecision, SlopesErrByLessThanTheStatedAndWithoutSign) {
  const Examples<float> examples(program, 40);
  const auto theta = random_parameters<float>(program);
  for (const TangentForm form : {TangentForm::kDense, TangentForm::kRankOne}) {
    Moments errors, shrinking, squared_slopes;
    for (Index first = 0; first < kTangents; first += kTogether) {
      const auto tangents = random_tangents<float>(program, kTogether, form, static_cast<std::uint64_t>(first + 100));
      const auto exact = run(program, theta, examples.batch(), tangents, Precision::kFloat32);
      const auto rounded = run(program, theta, examples.batch(), tangents, Precision::kBfloat16Tangents);
      // The same products of values, but cut into other heights where tangents go through W beside them.
      EXPECT_NEAR(rounded.loss, exact.loss, 1e-6 * exact.loss);
      for (std::size_t k = 0; k < exact.slopes.size(); ++k) {
        const double error = rounded.slopes[k] - exact.slopes[k];
        errors.add(error);
        shrinking.add(error * exact.slopes[k]);
        squared_slopes.add(exact.slopes[k] * exact.slopes[k]);
      }
    }
    const double slope = std::sqrt(squared_slopes.mean());
    const double error = std::sqrt(errors.variance() + errors.mean() * errors.mean());
    EXPECT_LT(error, 0x1p-8 * slope);
    EXPECT_TRUE(agrees(errors.mean(), 0, errors.mean_error()));
    EXPECT_TRUE(agrees(shrinking.mean(), 0, shrinking.mean_error()));
  }
}

// Not the same as float32 by accident: the two differ where a weight is packed and its input carries tangents.
TEST(Bfloat16, OfTangentsChangesSlopesAlone) {
  if (!has_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  const Program program = perceptron(20, 64, 2);
  const Examples<float> examples(program, 30);
  const auto theta = random_parameters<float>(program);
  for (const TangentForm form : {TangentForm::kDense, TangentForm::kDrawn, TangentForm::kRankOne}) {
    const auto tangents = random_tangents<float>(program, 3, form);
    const auto exact = run(program, theta, examples.batch(), tangents, Precision::kFloat32);
    const auto rounded = run(program, theta, examples.batch(), tangents, Precision::kBfloat16Tangents);
    EXPECT_EQ(rounded.loss, exact.loss);
    for (std::size_t k = 0; k < 3; ++k) EXPECT_NE(rounded.slopes[k], exact.slopes[k]);
  }
}

// Of values too: loss, gradient and descent differ from float32's, by what rounding factors explains. The network is
// smooth: a rectifier near 0 may switch, which changes a gradient by more.
TEST(Bfloat16, OfValuesChangesTheLossAndStaysNear) {
  if (!has_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  const Node x = Builder().input("x", {20});
  const Program program(labelled(linear(tanh(linear(tanh(linear(x, 64)), 64)), kClasses)));
  const Examples<float> examples(program, 30);
  const auto theta = random_parameters<float>(program);
  const auto tangents = random_tangents<float>(program, 3, TangentForm::kRankOne);
  const auto exact = run(program, theta, examples.batch(), tangents, Precision::kFloat32);
  const auto low = run(program, theta, examples.batch(), tangents, Precision::kBfloat16);
  const auto half = run(program, theta, examples.batch(), tangents, Precision::kBfloat16Tangents);
  EXPECT_NE(low.loss, exact.loss);
  EXPECT_NEAR(low.loss, exact.loss, 0x1p-7 * exact.loss);
  EXPECT_NE(low.slopes, half.slopes);

  std::vector<float> gradient(static_cast<std::size_t>(program.size())), rounded = gradient;
  const auto pullback = [&](Precision precision, std::span<float> out) {
    return Runner<float>(program, {.mode = Workload::Mode::kPullback, .batch = 30, .precision = precision})
        .gradient(theta, examples.batch(), out)
        .loss;
  };
  EXPECT_NEAR(pullback(Precision::kFloat32, gradient), exact.loss, 1e-6);
  const double loss = pullback(Precision::kBfloat16, rounded);
  EXPECT_NE(loss, exact.loss);
  double error = 0, square = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    error += std::pow(static_cast<double>(rounded[i]) - gradient[i], 2);
    square += std::pow(static_cast<double>(gradient[i]), 2);
  }
  EXPECT_GT(error, 0);
  EXPECT_LT(std::sqrt(error / square), 0x1p-5);

  // A step of descent is that gradient's.
  Parameters<float> moved = theta;
  Runner<float>(program, {.mode = Workload::Mode::kDescent, .batch = 30, .precision = Precision::kBfloat16})
      .descend(moved, examples.batch(), 0.5);
  for (Index i = 0; i < program.size(); ++i) {
    const double step = 0.5 * static_cast<double>(rounded[static_cast<std::size_t>(i)]);
    ASSERT_NEAR(moved.values()[i], theta.values()[i] - step, 1e-6 + 1e-5 * std::abs(step)) << i;
  }
}

// The copy in bfloat16 follows every change of θ, packed or flat.
TEST(Bfloat16, FollowsTheParameters) {
  if (!has_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  const Program program = perceptron(20, 70, 2);
  const Examples<float> examples(program, 30);
  auto theta = random_parameters<float>(program);
  const auto tangents = random_tangents<float>(program, 2, TangentForm::kRankOne);
  const auto slopes = [&](const Parameters<float>& at) {
    return run(program, at, examples.batch(), tangents, Precision::kBfloat16).slopes;
  };
  Runner<float> descent(program, {.mode = Workload::Mode::kDescent, .batch = 30});
  std::vector<double> before = slopes(theta);
  for (int step = 0; step < 4; ++step) {
    if (step % 2 == 0) {
      descent.descend(theta, examples.batch(), 0.5);
    } else {
      for (float& value : theta.edit()) value *= 1.25f;
    }
    const std::vector<double> after = slopes(theta);
    EXPECT_NE(after, before);
    EXPECT_EQ(after, slopes(Parameters<float>(theta)));
    before = after;
  }
}

TEST(Bfloat16, IsForFloatParametersAlone) {
  const Program program = perceptron(4, 20, 1);
  const Workload workload{.tangents = 1, .precision = Precision::kBfloat16};
  EXPECT_THROW(Runner<double>(program, workload), ArgumentError);
  if (has_bfloat16()) {
    EXPECT_NO_THROW(Runner<float>(program, workload));
  } else {
    EXPECT_THROW(Runner<float>(program, workload), ArgumentError);
  }
}

}  // namespace
}  // namespace slopewise
