// Numbers that a program carries with it.
#include "slopewise/program/constant.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "slopewise/base/error.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

constexpr Index kBatch = 9;

// A perceptron whose first weights are a parameter or a constant of the same values.
template <class T>
struct Network {
  std::vector<T> weights = random_vector<T>(40 * 30, 21, -0.3, 0.3);
  Node logits(bool constant) const {
    Builder build;
    const Node x = build.input("x", {30});
    const Node first = constant ? build.constant({40, 30}, weights) : build.parameter("first", {40, 30}, {}, 40);
    return linear(tanh(linear(x, first)), build.parameter("last", {kClasses, 40}, {}, kClasses));
  }
};

template <class T>
void expect_the_same_as_a_parameter() {
  const Network<T> network;
  const Program frozen(labelled(network.logits(true))), whole(labelled(network.logits(false)));
  ASSERT_EQ(frozen.size(), kClasses * 40);
  const auto last = random_vector<T>(frozen.size(), 22, -0.3, 0.3);
  std::vector<T> all = network.weights;
  all.insert(all.end(), last.begin(), last.end());
  const Parameters<T> theta(last), theta_whole(all);
  const Examples<T> examples(frozen, kBatch);

  std::vector<T> gradient(last.size()), gradient_whole(all.size());
  const Workload exact{.mode = Workload::Mode::kPullback, .batch = kBatch};
  const double loss = Runner<T>(frozen, exact).gradient(theta, examples.batch(), gradient).loss;
  EXPECT_EQ(loss, Runner<T>(whole, exact).gradient(theta_whole, examples.batch(), gradient_whole).loss);
  EXPECT_EQ(gradient, std::vector<T>(gradient_whole.end() - frozen.size(), gradient_whole.end()));

  const auto tangents = random_tangents<T>(frozen, 3);
  const Workload forward{.batch = kBatch, .tangents = 3, .order = 2};
  const auto result = Runner<T>(frozen, forward).run(theta, examples.batch(), &tangents);
  for (const double slope : result.slopes) EXPECT_NE(slope, 0);
}
TEST(Constant, IsReadAsAParameterOfTheSameValues) {
  expect_the_same_as_a_parameter<float>();
  expect_the_same_as_a_parameter<double>();
}

TEST(Constant, IsGivenInEitherWidth) {
  const Constant narrow({2}, std::vector<float>{0.1F, 2});
  EXPECT_THAT(narrow.values<double>(), testing::ElementsAre(static_cast<double>(0.1F), 2.0));
  const Constant wide({2}, std::vector<double>{0.1, 2});
  EXPECT_THAT(wide.values<float>(), testing::ElementsAre(0.1F, 2.0F));
  EXPECT_THAT(wide.values<double>(), testing::ElementsAre(0.1, 2.0));
}

TEST(Constant, RefusesValuesThatAreNotAsManyAsItsEntries) {
  EXPECT_THROW(Constant({2, 3}, std::vector<float>(5)), ShapeError);
}

// A mask of −∞ takes entries out of a softmax; a run that fails elsewhere does not blame the mask.
TEST(Constant, MayBeAMask) {
  Builder build;
  const Node x = build.input("x", {3});
  const double infinity = std::numeric_limits<double>::infinity();
  const Node masked = x + build.constant({3}, std::vector<double>{0, -infinity, 0});
  const Node scaled = mul(softmax(masked), build.parameter("gain", {3}, {}, 3));
  const Program program(sum(sqrt(scaled)));
  const std::vector<double> rows{1, 2, 1};
  const Batch<double> batch{.rows = 1, .inputs = {std::span(rows)}};
  Runner<double> runner(program, {.batch = 1});
  EXPECT_NEAR(runner.run(Parameters<double>(std::vector<double>{2, 5, 2}), batch).loss, 2, 1e-12);
  try {
    runner.run(Parameters<double>(std::vector<double>{-2, 5, 2}), batch);
    FAIL();
  } catch (const NumericError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("sqrt1"));
  }
}

}  // namespace
}  // namespace slopewise
