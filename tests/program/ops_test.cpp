// Every op in the registry, proved by the one checker, and the values that have a closed form.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/program/check.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/elementwise.hpp"

namespace slopewise {
namespace {

class EveryOp : public testing::TestWithParam<std::string> {
 protected:
  // Calls visit(example, its graph's nodes) for the examples of the op.
  template <class Visit>
  static void each_example(Visit visit) {
    const auto& ops = op_registry();
    const auto entry = std::find_if(ops.begin(), ops.end(), [](const OpEntry& op) { return op.name == GetParam(); });
    for (const OpExample& example : entry->examples) {
      Builder build;
      const Node y = example.build(build.input("x", example.input));
      visit(example, y.graph()->nodes);
    }
  }
};

TEST_P(EveryOp, PassesTheChecker) {
  each_example([](const OpExample& example, const std::vector<GraphNode>& nodes) {
    // The example must contain the op it is listed under, or the registry would prove something else.
    EXPECT_TRUE(std::any_of(nodes.begin(), nodes.end(),
                            [](const GraphNode& node) { return node.op && node.op->name() == GetParam(); }))
        << GetParam() << ": " << example.description;
    for (const Index batch : {1, 3}) {
      const CheckReport report = check_op(example, {.seed = 7, .batch = batch});
      EXPECT_TRUE(report.passed()) << GetParam() << ", " << example.description << ", batch " << batch << "\n"
                                   << report.to_string();
      EXPECT_FALSE(report.lines.empty());
    }
  });
}

// The plan goes by these: an op that acts in place has one input of its own size, and what holds integers has neither
// factors nor packed weights.
TEST_P(EveryOp, SaysOfItselfWhatItCanKeep) {
  each_example([](const OpExample& example, const std::vector<GraphNode>& nodes) {
    for (const GraphNode& node : nodes) {
      if (!node.op || node.op->name() != GetParam()) continue;
      std::vector<InputInfo> inputs;
      for (const Index input : node.inputs) inputs.push_back(nodes[input].info());
      if (node.op->traits().elementwise) {
        ASSERT_EQ(inputs.size(), 1u) << example.description;
        EXPECT_EQ(inputs[0].shape.size(), node.shape.size()) << example.description;
        EXPECT_EQ(node.op->scratch(inputs, node.shape, {.rows = 4, .tangents = 2}), 0) << example.description;
      }
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        const InputTraits takes = node.op->takes(k);
        EXPECT_TRUE(takes.integer || !inputs[k].integer) << example.description << ", input " << k;
        EXPECT_FALSE(takes.integer && (takes.rank_one || takes.drawn || takes.packed || takes.updated_in_place))
            << example.description << ", input " << k;
        EXPECT_TRUE(takes.varies || !(takes.rank_one || takes.drawn || takes.updated_in_place))
            << example.description << ", input " << k;
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryOp, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const OpEntry& op : op_registry()) names.push_back(op.name);
                           return names;
                         }()),
                         [](const auto& op) { return op.param; });

// Runs y = f(x) for one example of `values` and returns y, ẏ for ẋ = 1.
struct Pointwise {
  double value, slope;
};
Pointwise at(Node (*f)(const Node&), double x) {
  Builder build;
  const Node input = build.input("x", {});
  const Program program(f(input));
  Runner<double> runner(program, {.tangents = 1, .perturbed = {0}});
  const std::vector<double> values{x};
  const Perturbation<double> one = [](std::size_t, Index, std::span<const double>, std::span<double> out) {
    out[0] = 1;
  };
  const RunResult<double> result =
      runner.run(Parameters<double>(Index{0}), {.rows = 1, .inputs = {std::span<const double>(values)}}, nullptr, one);
  return {result.loss, result.slopes[0]};
}

TEST(Elementwise, ChoicesAtSingularPoints) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(at(relu, 0).slope, 0);
  EXPECT_EQ(at(relu, -0.0).value, 0);
  EXPECT_EQ(at([](const Node& x) { return leaky_relu(x, 0.25); }, 0).slope, 0.25);
  EXPECT_EQ(at(sigmoid, 800).value, 1);
  EXPECT_EQ(at(sigmoid, -800).value, 0);
  EXPECT_EQ(at(sigmoid, -800).slope, 0);
  EXPECT_EQ(at(softplus, 800).value, 800);
  EXPECT_EQ(at(softplus, -800).value, 0);
  EXPECT_EQ(at(tanh, 1e6).value, 1);
  EXPECT_EQ(at(gelu, 40).value, 40);
  EXPECT_EQ(at(gelu, -40).value, 0);
  for (const auto f : {relu, tanh, sigmoid, softplus, exp, square, gelu, gelu_tanh}) {
    EXPECT_THROW(at(f, std::nan("")), NumericError);
  }
  EXPECT_THROW(at(sqrt, 0), NumericError);  // slope +inf
  EXPECT_THROW(at(log, 0), NumericError);
  EXPECT_THROW(at(log, -1), NumericError);
  EXPECT_THROW(at(exp, kInfinity), NumericError);
}

TEST(Elementwise, KnownValues) {
  EXPECT_DOUBLE_EQ(at(gelu, 1).value, 0.5 * (1 + std::erf(std::sqrt(0.5))));
  EXPECT_DOUBLE_EQ(at(sigmoid, 0).value, 0.5);
  EXPECT_DOUBLE_EQ(at(sigmoid, 0).slope, 0.25);
  EXPECT_NEAR(at(gelu_tanh, 1).value, at(gelu, 1).value, 1e-3);
  EXPECT_DOUBLE_EQ(at(softplus, 0).value, std::log(2));
}

TEST(CrossEntropy, IsStableAndNamesABadLabel) {
  Builder build;
  const Node logits = build.input("logits", {3});
  const Program program(cross_entropy(logits, build.indices("label", {})));
  Runner<float> runner(program, {.batch = 1});
  const std::vector<float> large{1000, 0, -1000};
  const auto loss = [&](std::int32_t label) {
    return runner
        .run(Parameters<float>(Index{0}),
             {.rows = 1, .inputs = {std::span<const float>(large), std::span<const std::int32_t>(&label, 1)}})
        .loss;
  };
  EXPECT_EQ(loss(0), 0);
  EXPECT_EQ(loss(2), 2000);
  EXPECT_THROW(loss(3), ArgumentError);
  EXPECT_THROW(loss(-1), ArgumentError);
}

// Two logits a and b with the label 0: the loss is log(1 + e^(b − a)), its slope along a is −1 / (1 + e^(a − b)), and
// along b the opposite; by cross_entropy and by log_softmax, forward and back.
TEST(CrossEntropy, LosesNothingBesideLargeLogitsAndNearCertainty) {
  struct Case {
    float a, b;
  };
  for (const Case now :
       {Case{1e8f, 1e8f}, {1e4f, 1e4f - 5}, {1e4f - 5, 1e4f}, {20, 0}, {40, 0}, {0, 40}, {-1e30f, -1e30f}}) {
    SCOPED_TRACE(testing::Message() << now.a << ", " << now.b);
    const double gap = static_cast<double>(now.b) - now.a;
    const double loss = gap > 0 ? gap + std::log1p(std::exp(-gap)) : std::log1p(std::exp(gap));
    const double slope = -1 / (1 + std::exp(-gap));
    Builder build;
    const Node logits = build.parameter("logits", {2}, {}, 2);
    const Node label = build.indices("label", {});
    const Program programs[] = {Program(cross_entropy(logits, label)), [] {
                                  Builder other;
                                  const Node x = other.parameter("logits", {2}, {}, 2);
                                  return Program(scale(slice(log_softmax(x), 0, 0, 1), -1));
                                }()};
    for (const Program& program : programs) {
      const bool labelled = !program.inputs().empty();
      const Parameters<float> theta(std::vector<float>{now.a, now.b});
      const std::int32_t first = 0;
      Batch<float> batch{.rows = 1};
      if (labelled) batch.inputs = {std::span<const std::int32_t>(&first, 1)};
      const auto tangents = Tangents<float>::dense(program.layout(), 2, std::vector<float>{1, 0, 0, 1});
      Runner<float> runner(program, {.batch = 1, .tangents = 2});
      const RunResult<float> found = runner.run(theta, batch, &tangents);
      EXPECT_NEAR(found.loss, loss, 4e-7 * loss);
      EXPECT_NEAR(found.slopes[0], slope, 4e-7 * std::abs(slope));
      EXPECT_NEAR(found.slopes[1], -slope, 4e-7 * std::abs(slope));
      std::vector<float> gradient(2);
      Runner<float>(program, {.mode = Workload::Mode::kPullback, .batch = 1}).gradient(theta, batch, gradient);
      EXPECT_NEAR(gradient[0], slope, 4e-7 * std::abs(slope));
      EXPECT_NEAR(gradient[1], -slope, 4e-7 * std::abs(slope));
    }
  }
}

TEST(MaxPool, ATieGoesToTheFirst) {
  Builder build;
  const Node x = build.parameter("x", {2, 2, 1}, {}, 4);
  const Program program(sum(max_pool2d(x, 2)));
  const Parameters<double> equal(std::vector<double>(4, 1.0));
  std::vector<double> gradient(4);
  Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(equal, {.rows = 1, .inputs = {}}, gradient);
  EXPECT_EQ(gradient, (std::vector<double>{1, 0, 0, 0}));
}

TEST(Shapes, ThatDoNotFitAreNamed) {
  using testing::AllOf;
  using testing::HasSubstr;
  using testing::Property;
  Builder build;
  const Node x = build.input("x", {4, 5});
  const auto throws = [](auto make, const char* op, const char* found) {
    try {
      make();
      ADD_FAILURE() << op << " accepted " << found;
    } catch (const ShapeError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(op), HasSubstr(found)));
    }
  };
  throws([&] { add(x, build.input("y", {4})); }, "add", "(4)");
  throws([&] { linear(x, build.parameter("w", {3, 4}, {}, 3)); }, "linear", "(3, 4)");
  throws([&] { matmul(x, x); }, "matmul", "(4, 5)");
  throws([&] { conv2d(x, 3, 3); }, "conv2d", "(4, 5)");
  throws([&] { conv2d(reshape(x, {4, 5, 1}), 3, 7); }, "conv", "(4, 5, 1)");
  throws([&] { max_pool2d(x, 2); }, "max_pool", "(4, 5)");
  throws([&] { reshape(x, {3, 3}); }, "reshape", "(3, 3)");
  throws([&] { transpose(x, {0, 0}); }, "transpose", "(4, 5)");
  throws([&] { concatenate({x, build.input("z", {4, 5, 1})}, 0); }, "concatenate", "(4, 5, 1)");
  throws([&] { slice(x, 1, 2, 9); }, "slice", "[2, 9)");
  throws([&] { sum(x, {2}); }, "axis 2", "(4, 5)");
  throws([&] { softmax(sum(x)); }, "softmax", "()");
  throws([&] { cross_entropy(x, build.indices("label", {})); }, "cross_entropy", "(4, 5)");
  throws([&] { embedding(x, x); }, "embedding", "(4, 5)");
  throws([&] { Program{x}; }, "loss", "(4, 5)");
}

TEST(Registry, RefusesWhatItCannotCheck) {
  EXPECT_THROW(register_op({.name = "nothing", .examples = {}}), ArgumentError);
  EXPECT_THROW(register_op({.name = "relu", .examples = op_registry()[0].examples}), ArgumentError);
}

// A rule with a wrong slope, to see the checker fail.
struct Wrong {
  static constexpr std::string_view kName = "wrong";
  template <class V>
  Local<V> local(V x) const {
    return {.value = x * x, .slope = V{2.125} * x, .curvature = V{2}};
  }
};

TEST(Checker, FindsAWrongRule) {
  const CheckReport report =
      check_op({.description = "wrong", .input = {4}, .build = [](const Node& x) { return unary(x, Wrong{}); }});
  EXPECT_FALSE(report.passed());
  EXPECT_THAT(report.to_string(), testing::HasSubstr("FAILED"));
}

}  // namespace
}  // namespace slopewise
