// What a program makes of an expression: for tests that hold one expression to another, or to its definition.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/runner.hpp"
#include "tests/support.hpp"

namespace slopewise {

// y = f(parts) for parameters of the given shapes; its weighted sum is the loss.
struct Evaluated {
  std::vector<double> value;               // y
  std::vector<double> slopes, curvatures;  // of the loss along two directions
  std::vector<double> gradient;
};
using Expression = std::function<Node(const std::vector<Node>&)>;

inline Evaluated evaluate(const Expression& f, const std::vector<Shape>& shapes, std::uint64_t seed = 1,
                          double low = -1, double high = 1) {
  Builder build;
  std::vector<Node> parts;
  for (const Shape& shape : shapes)
    parts.push_back(build.parameter("p" + std::to_string(parts.size()), shape, {}, std::max<Index>(shape.size(), 1)));
  const Node y = f(parts);
  const Program program(sum(mul(y, build.input("weights", y.shape()))));
  const std::vector<double> weights = random_vector<double>(y.shape().size(), seed + 1);
  const Batch<double> batch{.rows = 1, .inputs = {std::span<const double>(weights)}};
  const Parameters<double> theta(random_vector<double>(program.size(), seed, low, high));
  // A run gives the values of nodes that have one row an example; times 1 they do.
  Evaluated found;
  {
    Builder again;
    std::vector<Node> copies;
    for (const Shape& shape : shapes)
      copies.push_back(
          again.parameter("p" + std::to_string(copies.size()), shape, {}, std::max<Index>(shape.size(), 1)));
    const Node made = f(copies);
    const Node visible = mul(again.input("ones", made.shape()), made);
    const Program values(sum(visible));
    const std::vector<double> ones(static_cast<std::size_t>(made.shape().size()), 1.0);
    Runner<double> runner(values, {.outputs = {visible.number()}});
    runner.run(theta, {.rows = 1, .inputs = {std::span<const double>(ones)}});
    const auto output = runner.output(0);
    found.value.assign(output.begin(), output.end());
  }
  const auto tangents =
      Tangents<double>::dense(program.layout(), 2, random_vector<double>(2 * program.size(), seed + 2));
  Runner<double> runner(program, {.tangents = 2, .order = 2});
  const RunResult<double> result = runner.run(theta, batch, &tangents);
  found.slopes.assign(result.slopes.begin(), result.slopes.end());
  found.curvatures.assign(result.curvatures.begin(), result.curvatures.end());
  found.gradient.resize(static_cast<std::size_t>(program.size()));
  Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(theta, batch, found.gradient);
  return found;
}

inline void expect_near(const std::vector<double>& found, const std::vector<double>& expected, double tolerance,
                        const char* what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << what << " " << i;
}

// That two expressions are the same function: values, slopes, second-order terms, gradient.
inline void expect_same(const Expression& f, const Expression& g, const std::vector<Shape>& shapes,
                        double tolerance = 1e-12, double low = -1, double high = 1) {
  const Evaluated found = evaluate(f, shapes, 1, low, high), expected = evaluate(g, shapes, 1, low, high);
  expect_near(found.value, expected.value, tolerance, "value");
  expect_near(found.slopes, expected.slopes, tolerance, "slopes");
  expect_near(found.curvatures, expected.curvatures, tolerance, "second-order terms");
  expect_near(found.gradient, expected.gradient, tolerance, "gradient");
}

}  // namespace slopewise
