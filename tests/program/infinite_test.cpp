// What does not vary has no slope: infinite cotangents that meet a coefficient of 0 bring nothing, through every op.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/registry.hpp"
#include "slopewise/program/runner.hpp"

namespace slopewise {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Index kRows = 2;
constexpr Index kMostTangents = 16;

// An example of an op at numbers of which half are 0, and its Jacobian by tangents along some of the entries of θ.
class Subject {
 public:
  Subject(const OpExample& example, std::uint64_t seed) : random_(seed, 1) {
    Builder build;
    const Node data = build.input("x", example.input);
    const Node theta = build.parameter("theta", example.input, {}, std::max<Index>(1, example.input.size()));
    const Node y = example.build(add(data, theta));
    y_ = y.number();
    size_ = y.shape().size();
    program_.emplace(sum(mul(y, build.input("weights", y.shape()))));
    for (Index i = 0; i < program_->size(); ++i) values_.push_back(i % 2 == 1 ? 0 : random_.uniform(-1, 1));
    fill_inputs(example);
    const Index count = std::min(kMostTangents, program_->size());
    for (Index k = 0; k < count; ++k) entries_.push_back(k * program_->size() / count);
  }
  bool empty() const { return size_ == 0 || entries_.empty(); }
  const std::vector<Index>& entries() const { return entries_; }
  RandomStream& random() { return random_; }
  Index outputs() const { return kRows * size_; }

  // (outputs, entries).
  std::vector<std::vector<double>> jacobian() {
    const auto count = static_cast<Index>(entries_.size());
    std::vector<double> axes(static_cast<std::size_t>(count * program_->size()));
    for (Index k = 0; k < count; ++k) axes[static_cast<std::size_t>(k * program_->size() + entries_[k])] = 1;
    const auto tangents = Tangents<double>::dense(program_->layout(), count, axes);
    const Parameters<double> theta(values_);
    Runner<double> runner(*program_, {.batch = kRows, .tangents = count});
    std::vector<std::vector<double>> rows;
    for (Index j = 0; j < outputs(); ++j) {
      weights().assign(static_cast<std::size_t>(outputs()), 0);
      weights()[static_cast<std::size_t>(j)] = kRows;
      rows.push_back(runner.run(theta, batch(), &tangents).slopes);
    }
    return rows;
  }

  // The entries of the gradient that follow from this cotangent of the output.
  std::vector<double> pull(const std::vector<double>& cotangent) {
    Workload workload{.mode = Workload::Mode::kGiven, .batch = kRows};
    workload.forms.assign(program_->layout().segments.size(), TangentForm::kNone);
    workload.cuts = {y_};
    std::vector<double> gradient(static_cast<std::size_t>(program_->size()));
    const Giver<double> giver = [&](const GivenView<double>& view) {
      std::copy_n(cotangent.begin(), view.cuts[0].cotangent.size(), view.cuts[0].cotangent.begin());
    };
    try {
      Runner<double>(*program_, workload).given(Parameters<double>(values_), batch(), nullptr, {}, giver, gradient);
    } catch (const NumericError&) {  // says what the gradient holds
    }
    std::vector<double> chosen;
    for (const Index entry : entries_) chosen.push_back(gradient[static_cast<std::size_t>(entry)]);
    return chosen;
  }

 private:
  // x = data + θ is 0 in half of its entries, where the example allows that.
  void fill_inputs(const OpExample& example) {
    const double middle = (example.low + example.high) / 2, half = (example.high - example.low) / 2;
    for (const Index number : program_->inputs()) {
      const GraphNode& input = program_->node(number);
      const Index count = kRows * input.shape.size();
      auto& numbers = numbers_.emplace_back();
      auto& integers = integers_.emplace_back();
      for (Index j = 0; j < count; ++j) {
        if (input.kind == GraphNode::Kind::kIndices)
          integers.push_back(static_cast<std::int32_t>(random_.below(static_cast<std::uint32_t>(example.index_limit))));
        const bool zero = input.name == "x" && example.low < 0 && random_.below(2) == 0;
        const double own = input.name == "x" ? values_[static_cast<std::size_t>(j % input.shape.size())] : 0;
        numbers.push_back((zero ? 0 : middle + random_.uniform(-half, half)) - own);
      }
    }
  }
  std::vector<double>& weights() { return numbers_.back(); }
  Batch<double> batch() const {
    Batch<double> batch{.rows = kRows, .inputs = {}};
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      if (integers_[i].empty()) {
        batch.inputs.emplace_back(std::span<const double>(numbers_[i]));
      } else {
        batch.inputs.emplace_back(std::span<const std::int32_t>(integers_[i]));
      }
    }
    return batch;
  }

  RandomStream random_;
  std::optional<Program> program_;
  Index y_ = 0, size_ = 0;
  std::vector<double> values_;
  std::vector<Index> entries_;  // of θ
  std::vector<std::vector<double>> numbers_;
  std::vector<std::vector<std::int32_t>> integers_;
};

// Whether it is 0 by two terms that cancel, each of which takes the cotangent back, or does but for rounding.
bool cancels(const std::string& op, const OpExample& example) {
  return ((op == "sub" || op == "div") && example.description == "itself") ||
         (op == "scaled_dot_product_attention" && example.description == "queries that see no key");
}

class InfiniteCotangents : public testing::TestWithParam<std::string> {};

// x̄ = Σ J ȳ by plain loops that pass over zeros, wherever that is finite.
TEST_P(InfiniteCotangents, PassOverZeros) {
  const auto& ops = op_registry();
  const auto entry = std::find_if(ops.begin(), ops.end(), [](const OpEntry& op) { return op.name == GetParam(); });
  for (const OpExample& example : entry->examples) {
    if (cancels(GetParam(), example)) continue;
    SCOPED_TRACE(example.description);
    Subject subject(example, 5);
    if (subject.empty()) continue;
    const auto jacobian = subject.jacobian();
    for (const double share : {0.0, 0.1, 0.5}) {
      std::vector<double> cotangent;
      for (Index j = 0; j < subject.outputs(); ++j) {
        const bool finite = subject.random().uniform(0, 1) > share;
        cotangent.push_back(finite ? subject.random().uniform(-1, 1) : j % 3 == 2 ? -kInfinity : kInfinity);
      }
      if (share == 0) cotangent[subject.random().below(static_cast<std::uint32_t>(cotangent.size()))] = std::nan("");
      const std::vector<double> found = subject.pull(cotangent);
      for (std::size_t k = 0; k < found.size(); ++k) {
        double expected = 0, size = 1;
        for (std::size_t j = 0; j < cotangent.size(); ++j) {
          expected += pull_through(jacobian[j][k], cotangent[j]);
          size = std::max(size, std::abs(expected));
        }
        if (std::isfinite(expected)) {
          EXPECT_NEAR(found[k], expected, 1e-11 * size) << "θ " << subject.entries()[k] << ", share " << share;
        } else {
          EXPECT_FALSE(std::isfinite(found[k])) << "θ " << subject.entries()[k] << ", share " << share;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, InfiniteCotangents, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const OpEntry& op : op_registry()) names.push_back(op.name);
                           return names;
                         }()),
                         [](const auto& op) { return op.param; });

// sqrt(f(x, w)) at x = 0, w = 0, which is 0 along every tangent.
TEST(InfiniteSlopes, OfLinearMapsThatAreZero) {
  const std::vector<Node (*)(const Node&, const Node&)> maps{
      [](const Node& x, const Node& w) { return scale(x + w, 0); },
      [](const Node& x, const Node& w) { return linear(x, w); },
      [](const Node& x, const Node& w) { return matmul(x, w); },
      [](const Node& x, const Node& w) { return mul(x, w); },
  };
  for (const auto map : maps) {
    Builder build;
    const Node x = build.parameter("x", {2, 2}, {}, 2);
    const Program program(sum(sqrt(map(x, build.parameter("w", {2, 2}, {}, 2)))));
    const Parameters<double> theta(std::vector<double>(static_cast<std::size_t>(program.size()), 0));
    const auto along =
        Tangents<double>::dense(program.layout(), 1, std::vector<double>(static_cast<std::size_t>(program.size()), 1));
    EXPECT_EQ(Runner<double>(program, {.tangents = 1}).run(theta, {.rows = 1}, &along).slopes[0], 0);
    std::vector<double> gradient(static_cast<std::size_t>(program.size()), 7);
    Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(theta, {.rows = 1}, gradient);
    EXPECT_THAT(gradient, testing::Each(0.0));
  }
}

// Weights that are packed and changed where they lie stay as they are, but for what a finite cotangent brings.
TEST(InfiniteSlopes, OfWeightsThatMoveInPlace) {
  constexpr Index kWidth = 70;
  Builder build;
  const Node x = build.input("x", {40});
  const Program program(sum(sqrt(linear(tanh(linear(x, kWidth, false)), kWidth, false))));
  std::vector<float> values(static_cast<std::size_t>(program.size()), 0);
  Parameters<float> theta(values);
  const std::vector<float> ones(40, 1);
  const Batch<float> batch{.rows = 1, .inputs = {std::span<const float>(ones)}};
  Runner<float>(program, {.mode = Workload::Mode::kDescent}).descend(theta, batch, 0.1);
  EXPECT_THAT(theta.values(), testing::Each(0.0f));
}

// An output of 0 has an infinite cotangent: of its row of packed weights the inputs that are not 0 reach just their
// own.
TEST(InfiniteSlopes, ReachPackedWeightsByCoefficientsThatAreNotZero) {
  constexpr Index kIn = 40, kOut = 70, kZeroRow = 67;
  Builder build;
  const Node x = build.input("x", {kIn});
  const Program program(sum(sqrt(linear(x, kOut, false))));
  std::vector<float> values(static_cast<std::size_t>(program.size())), inputs(kIn);
  for (Index i = 0; i < kIn; ++i) inputs[static_cast<std::size_t>(i)] = i % 3 == 0 ? 0.0f : 1.0f;
  for (Index i = 0; i < kOut * kIn; ++i) values[static_cast<std::size_t>(i)] = i / kIn == kZeroRow ? 0.0f : 1.0f;
  Parameters<float> theta(values);
  const Batch<float> batch{.rows = 1, .inputs = {std::span<const float>(inputs)}};
  Runner<float>(program, {.mode = Workload::Mode::kDescent}).descend(theta, batch, 0.1);
  for (Index i = 0; i < kOut * kIn; ++i) {
    const float moved = theta.values()[i];
    if (i % kIn % 3 == 0) {
      EXPECT_EQ(moved, values[static_cast<std::size_t>(i)]) << i;
    } else if (i / kIn == kZeroRow) {
      EXPECT_FALSE(std::isfinite(moved)) << i;
    } else {
      EXPECT_NEAR(moved, 1 - 0.1 / 2 / std::sqrt(26.0), 1e-6) << i;
    }
  }
}

}  // namespace
}  // namespace slopewise
