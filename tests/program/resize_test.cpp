// Resizing against the numbers of ONNX's own examples; entries that move between channels and places; rotary positions.
#include <cmath>

#include "slopewise/base/error.hpp"
#include "tests/program/evaluate.hpp"

namespace slopewise {
namespace {

using Mode = ResizeOptions::Mode;
using Coordinates = ResizeOptions::Coordinates;
using Rounding = ResizeOptions::Rounding;

// y = f(x) for an x (extents…) of one channel that counts from 1.
std::vector<double> of_counting(Shape shape, const std::function<Node(const Node&)>& f) {
  std::vector<double> x(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i + 1);
  return evaluate([&](const auto& p) { return f(Builder(p[0]).constant(shape, x) + scale(sum(p[0]), 0)); }, {{1}})
      .value;
}

TEST(Resize, HasTheNumbersOfTheStandardsExamples) {
  const auto resized = [](Shape shape, const std::vector<Index>& sizes, const ResizeOptions& options) {
    return of_counting(std::move(shape), [&](const Node& x) { return resize(x, sizes, options); });
  };
  expect_near(resized({2, 2, 1}, {4, 6}, {}), {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4},
              0, "nearest");
  expect_near(resized({2, 4, 1}, {1, 2}, {.scales = {0.6, 0.6}}), {1, 3}, 0, "nearest, smaller");
  expect_near(resized({2, 2, 1}, {4, 4}, {.mode = Mode::kLinear}),
              {1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4}, 1e-15, "linear");
  expect_near(
      resized({2, 2, 1}, {4, 4}, {.mode = Mode::kLinear, .coordinates = Coordinates::kAlignCorners}),
      {1, 4.0 / 3, 5.0 / 3, 2, 5.0 / 3, 2, 7.0 / 3, 8.0 / 3, 7.0 / 3, 8.0 / 3, 3, 10.0 / 3, 3, 10.0 / 3, 11.0 / 3, 4},
      1e-15, "corners aligned");
  expect_near(resized({2, 4, 1}, {1, 2}, {.mode = Mode::kLinear, .scales = {0.6, 0.6}}), {8.0 / 3, 13.0 / 3}, 1e-14,
              "linear, smaller");
  expect_near(resized({4, 4, 1}, {3, 1}, {.mode = Mode::kLinear, .coordinates = Coordinates::kPytorchHalfPixel}),
              {5.0 / 3, 7, 37.0 / 3}, 1e-14, "one entry in PyTorch's way");
}

TEST(Resize, RoundsHalvesAsAsked) {
  // Entries of 4 at 0, ½, 1, … where 8 are made of them.
  const auto rounded = [](Rounding rounding) {
    return of_counting({4, 1}, [&](const Node& x) {
      return resize(x, {8}, {.coordinates = Coordinates::kAsymmetric, .rounding = rounding});
    });
  };
  expect_near(rounded(Rounding::kPreferFloor), {1, 1, 2, 2, 3, 3, 4, 4}, 0, "prefer floor");
  expect_near(rounded(Rounding::kPreferCeil), {1, 2, 2, 3, 3, 4, 4, 4}, 0, "prefer ceil");
  expect_near(rounded(Rounding::kFloor), {1, 1, 2, 2, 3, 3, 4, 4}, 0, "floor");
  expect_near(rounded(Rounding::kCeil), {1, 2, 2, 3, 3, 4, 4, 4}, 0, "ceil");
}

TEST(Resize, MovesChannelsToPlacesAndBack) {
  expect_near(of_counting({1, 1, 8}, [](const Node& x) { return depth_to_space(x, 2); }), {1, 2, 3, 4, 5, 6, 7, 8}, 0,
              "one place");
  expect_near(of_counting({1, 1, 8}, [](const Node& x) { return depth_to_space(x, 2, true); }),
              {1, 5, 2, 6, 3, 7, 4, 8}, 0, "depth first");
  expect_near(of_counting({1, 2, 4}, [](const Node& x) { return depth_to_space(x, 2); }), {1, 2, 5, 6, 3, 4, 7, 8}, 0,
              "two places");
  expect_same([](const auto& p) { return space_to_depth(depth_to_space(p[0], 2), 2); },
              [](const auto& p) {
                return reshape(p[0], {2, 3, 8});
              },
              {{2, 3, 8}});
}

TEST(Resize, RefusesWhatDoesNotFit) {
  Builder build;
  const Node x = build.input("x", {4, 6, 3});
  EXPECT_THROW(resize(x, {2}), ShapeError);
  EXPECT_THROW(resize(x, {2, 0}), ShapeError);
  EXPECT_THROW(resize(x, {2, 2}, {.scales = {0.5}}), ShapeError);
  EXPECT_THROW(resize(x, {2, 2}, {.scales = {0.5, std::nan("")}}), ShapeError);
  EXPECT_THROW(depth_to_space(x, 2), ShapeError);
  EXPECT_THROW(depth_to_space(x, Index{1} << 62), ShapeError);
  EXPECT_THROW(space_to_depth(x, 4), ShapeError);
  EXPECT_THROW(space_to_depth(x, 0), ShapeError);
}

TEST(Rope, TurnsPairsByTheAngleOfTheirPosition) {
  const std::vector<double> cosines{1, 0.6}, sines{0, 0.8};
  const std::vector<double> x = random_vector<double>(2 * 2 * 2, 1);
  const auto turned = [&](const std::vector<std::size_t>& pairs, const std::vector<std::size_t>& at) {
    std::vector<double> y = x;
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      const double a = x[pairs[i]], b = x[pairs[i + 1]];
      y[pairs[i]] = a * cosines[at[i / 2]] - b * sines[at[i / 2]];
      y[pairs[i + 1]] = a * sines[at[i / 2]] + b * cosines[at[i / 2]];
    }
    return y;
  };
  const auto value = [&](const Shape& shape, RopePairs pairs, bool heads_second) {
    return evaluate([&](const auto& p) { return rope(p[0], cosines, sines, pairs, heads_second); }, {shape}).value;
  };
  // (heads, T, width) = (2, 2, 2); one pair at each position.
  expect_near(value({2, 2, 2}, RopePairs::kNeighbours, false), turned({0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 0, 1}), 1e-15,
              "heads first");
  expect_near(value({2, 2, 2}, RopePairs::kHalves, true), turned({0, 1, 2, 3, 4, 5, 6, 7}, {0, 0, 1, 1}), 1e-15,
              "heads second");
  // One position of four entries, two pairs.
  const auto one = [&](RopePairs pairs) {
    return evaluate([&](const auto& p) { return rope(p[0], cosines, sines, pairs); }, {{2, 1, 4}}).value;
  };
  expect_near(one(RopePairs::kNeighbours), turned({0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 0, 1}), 1e-15, "neighbours");
  expect_near(one(RopePairs::kHalves), turned({0, 2, 1, 3, 4, 6, 5, 7}, {0, 1, 0, 1}), 1e-15, "halves");
}

TEST(Rope, RefusesWhatDoesNotFit) {
  Builder build;
  const Node x = build.input("x", {2, 3, 4});
  EXPECT_THROW(rope(x, {1, 1}, {0, 0}), ShapeError);
  EXPECT_THROW(rope(x, std::vector<double>(9), std::vector<double>(9)), ShapeError);  // 3 pairs of 4 entries
  EXPECT_THROW(rope(x, std::vector<double>(6), std::vector<double>(3)), ShapeError);
  EXPECT_THROW(rope(build.input("flat", {4}), {1, 1}, {0, 0}), ShapeError);
}

}  // namespace
}  // namespace slopewise
