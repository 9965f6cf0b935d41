// Norms against their definitions.
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "tests/program/evaluate.hpp"

namespace slopewise {
namespace {

constexpr double kEpsilon = 1e-3;

// (x[i] − mean) / √(variance + ε) over the entries that `same` says belong together with i.
template <class Same>
std::vector<double> normalized(const std::vector<double>& x, std::size_t size, bool centred, Same same) {
  std::vector<double> y;
  for (std::size_t i = 0; i < size; ++i) {
    double count = 0, total = 0, squares = 0;
    for (std::size_t j = 0; j < size; ++j) {
      if (!same(i, j)) continue;
      ++count;
      total += x[j];
    }
    const double mean = centred ? total / count : 0;
    for (std::size_t j = 0; j < size; ++j) {
      if (same(i, j)) squares += (x[j] - mean) * (x[j] - mean);
    }
    y.push_back((x[i] - mean) / std::sqrt(squares / count + kEpsilon));
  }
  return y;
}

// y gain + bias, both of `width` entries that follow x in θ.
std::vector<double> with_gain(std::vector<double> y, const std::vector<double>& theta, std::size_t width, bool bias) {
  for (std::size_t i = 0; i < y.size(); ++i) {
    y[i] = y[i] * theta[y.size() + i % width] + (bias ? theta[y.size() + width + i % width] : 0);
  }
  return y;
}

TEST(Norms, HaveTheValueOfTheirDefinitions) {
  const Shape x{3, 2, 4}, channels{4};
  const std::vector<double> theta = random_vector<double>(24 + 16, 1);
  const auto value = [&](const Expression& f, const std::vector<Shape>& shapes) { return evaluate(f, shapes).value; };
  const auto by = [](std::size_t count) {
    return [=](std::size_t i, std::size_t j) { return i / count == j / count; };
  };

  expect_near(value([](const auto& p) { return layer_norm(p[0], p[1], p[2], 1, kEpsilon); }, {x, channels, channels}),
              with_gain(normalized(theta, 24, true, by(4)), theta, 4, true), 1e-13, "layer norm");
  expect_near(value([](const auto& p) { return layer_norm(p[0], p[1], p[2], 2, kEpsilon); }, {x, {2, 4}, {2, 4}}),
              with_gain(normalized(theta, 24, true, by(8)), theta, 8, true), 1e-13, "layer norm over two axes");
  expect_near(value([](const auto& p) { return rms_norm(p[0], p[1], kEpsilon); }, {x, channels}),
              with_gain(normalized(theta, 24, false, by(4)), theta, 4, false), 1e-13, "RMS norm");
  const auto same_group = [](std::size_t i, std::size_t j) { return i % 4 / 2 == j % 4 / 2; };
  expect_near(value([](const auto& p) { return group_norm(p[0], 2, p[1], p[2], kEpsilon); }, {x, channels, channels}),
              with_gain(normalized(theta, 24, true, same_group), theta, 4, true), 1e-13, "group norm");
  const auto same_channel = [](std::size_t i, std::size_t j) { return i % 4 == j % 4; };
  expect_near(value([](const auto& p) { return instance_norm(p[0], p[1], p[2], kEpsilon); }, {x, channels, channels}),
              with_gain(normalized(theta, 24, true, same_channel), theta, 4, true), 1e-13, "instance norm");
}

TEST(Norms, BatchNormIsAMapOfEachChannel) {
  const Expression f = [](const auto& p) { return batch_norm(p[0], p[1], p[2], p[3], square(p[4]), kEpsilon); };
  const std::vector<double> theta = random_vector<double>(6 * 4 + 4 * 4, 1);
  std::vector<double> expected;
  for (std::size_t i = 0; i < 24; ++i) {
    const std::size_t c = 24 + i % 4;
    expected.push_back((theta[i] - theta[c + 8]) * theta[c] / std::sqrt(theta[c + 12] * theta[c + 12] + kEpsilon) +
                       theta[c + 4]);
  }
  expect_near(evaluate(f, {{3, 2, 4}, {4}, {4}, {4}, {4}}).value, expected, 1e-13, "batch norm");
}

TEST(Norms, LocalResponseNormTakesNeighbouringChannels) {
  for (const Index size : {1, 2, 3, 4, 9}) {
    const Evaluated found =
        evaluate([&](const auto& p) { return local_response_norm(p[0], size, 0.4, 0.6, 1.5); }, {{2, 2, 5}});
    const std::vector<double> x = random_vector<double>(20, 1);
    std::vector<double> expected;
    for (Index i = 0; i < 20; ++i) {
      const Index c = i % 5;
      double total = 0;
      for (Index j = std::max<Index>(0, c - (size - 1) / 2); j <= std::min<Index>(4, c + size / 2); ++j) {
        const double near = x[static_cast<std::size_t>(i - c + j)];
        total += near * near;
      }
      expected.push_back(x[static_cast<std::size_t>(i)] / std::pow(1.5 + 0.4 * total / static_cast<double>(size), 0.6));
    }
    expect_near(found.value, expected, 1e-13, "local response norm");
  }
}

TEST(Norms, RefuseWhatDoesNotFit) {
  Builder build;
  const Node x = build.input("x", {3, 4}), c = build.parameter("c", {4}, {}, 4), d = build.parameter("d", {3}, {}, 3);
  EXPECT_THROW(layer_norm(x, c, c, 3), ShapeError);
  EXPECT_THROW(layer_norm(x, c, c, 0), ShapeError);
  EXPECT_THROW(layer_norm(x, d), ShapeError);
  EXPECT_THROW(group_norm(x, 3, c, c), ShapeError);
  EXPECT_THROW(group_norm(x, 0, c, c), ShapeError);
  EXPECT_THROW(instance_norm(x, d, c), ShapeError);
  EXPECT_THROW(batch_norm(x, c, c, c, d), ShapeError);
  EXPECT_THROW(local_response_norm(x, 0), ShapeError);
}

}  // namespace
}  // namespace slopewise
