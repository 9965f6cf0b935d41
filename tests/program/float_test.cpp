// Every op of the registry in float against double: libraries multiply floats by other kernels than the doubles that
// the checker runs on.
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/registry.hpp"
#include "slopewise/program/runner.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kRows = 3;

struct Figures {
  std::vector<double> losses, slopes, gradient;
};

// The op's output for x = θ + an input, weighted at random and summed; along two tangents, and back.
template <class T>
Figures figures(const OpExample& example) {
  Builder build;
  const Node theta = build.parameter("theta", example.input, {}, std::max<Index>(1, example.input.size()));
  const Node y = example.build(build.input("x", example.input) + theta);
  const Program program(sum(mul(y, build.input("weights", y.shape()))));
  const auto drawn = [](Index count, std::uint64_t seed, double low, double high) {
    const std::vector<float> numbers = random_vector<float>(count, seed, low, high);  // the same in both widths
    return std::vector<T>(numbers.begin(), numbers.end());
  };
  const double middle = (example.low + example.high) / 2, half = (example.high - example.low) / 2;
  Batch<T> batch{.rows = kRows, .inputs = {}};
  std::vector<std::vector<T>> numbers(program.inputs().size());
  std::vector<std::vector<std::int32_t>> integers(program.inputs().size());
  for (std::size_t i = 0; i < program.inputs().size(); ++i) {
    const GraphNode& input = program.node(program.inputs()[i]);
    const Index count = kRows * input.shape.size();
    if (input.kind == GraphNode::Kind::kIndices) {
      for (Index j = 0; j < count; ++j) integers[i].push_back(static_cast<std::int32_t>(j) % example.index_limit);
      batch.inputs.emplace_back(std::span<const std::int32_t>(integers[i]));
    } else {
      numbers[i] =
          input.name == "x" ? drawn(count, 10 + i, middle - half / 2, middle + half / 2) : drawn(count, 10 + i, -1, 1);
      batch.inputs.emplace_back(std::span<const T>(numbers[i]));
    }
  }
  const Parameters<T> parameters(drawn(program.size(), 1, -half / 2, half / 2));
  const auto tangents = Tangents<T>::dense(program.layout(), 2, drawn(2 * program.size(), 2, -1, 1));
  Figures found;
  const RunResult<T> run = Runner<T>(program, {.batch = kRows, .tangents = 2}).run(parameters, batch, &tangents);
  found.losses.assign(1, run.loss);
  found.slopes.assign(run.slopes.begin(), run.slopes.end());
  std::vector<T> gradient(static_cast<std::size_t>(program.size()));
  Runner<T>(program, {.mode = Workload::Mode::kPullback, .batch = kRows}).gradient(parameters, batch, gradient);
  found.gradient.assign(gradient.begin(), gradient.end());
  return found;
}

// A mistake in a kernel is off by some of the largest entry; rounding, also where terms cancel, is not.
void expect_close(const std::vector<double>& found, const std::vector<double>& expected, const char* what) {
  double scale = 1;
  for (const double number : expected) scale = std::max(scale, std::abs(number));
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-3 * scale) << what << " " << i;
}

TEST(Floats, GiveWhatDoublesGive) {
  for (const OpEntry& op : op_registry()) {
    for (const OpExample& example : op.examples) {
      SCOPED_TRACE(op.name + ", " + example.description);
      const Figures found = figures<float>(example), expected = figures<double>(example);
      expect_close(found.losses, expected.losses, "loss");
      expect_close(found.slopes, expected.slopes, "slope");
      expect_close(found.gradient, expected.gradient, "gradient");
    }
  }
}

}  // namespace
}  // namespace slopewise
