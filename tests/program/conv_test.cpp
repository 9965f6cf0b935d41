// Convolutions of one to three axes against their definition, and those that are the same function by another way.
#include <gtest/gtest.h>

#include <array>

#include "slopewise/base/error.hpp"
#include "tests/program/evaluate.hpp"

namespace slopewise {
namespace {

struct Case {
  Shape x, weight;
  ConvOptions options;
};

// x and weight with three spatial axes, and their options.
struct ThreeAxes {
  std::array<Index, 3> extent{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, before{}, after{};

  explicit ThreeAxes(const Case& of) {
    const auto rank = static_cast<std::size_t>(of.x.rank() - 1);
    for (std::size_t i = 0; i < rank; ++i) {
      const std::size_t at = 3 - rank + i;
      extent[at] = of.x.extents()[i];
      kernel[at] = of.weight.extents()[i + 1];
      const auto take = [i](const std::vector<Index>& from, Index& to) {
        if (!from.empty()) to = from[i];
      };
      take(of.options.strides, stride[at]);
      take(of.options.dilations, dilation[at]);
      take(of.options.pads_begin, before[at]);
      take(of.options.pads_end, after[at]);
    }
  }
  Index windows(std::size_t i) const {
    return (extent[i] + before[i] + after[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1;
  }
};

// By the definition, entry by entry; the entries of x and weight that meet in one of y are given to visit(y, x,
// weight).
template <class F>
Index each_product(const Case& of, F visit) {
  const ThreeAxes axes(of);
  const Index channels = of.x[-1], own = of.weight[-1], outputs = of.weight[0];
  Index y = 0;
  std::array<Index, 3> o{}, t{};
  for (o[0] = 0; o[0] < axes.windows(0); ++o[0])
    for (o[1] = 0; o[1] < axes.windows(1); ++o[1])
      for (o[2] = 0; o[2] < axes.windows(2); ++o[2])
        for (Index c = 0; c < outputs; ++c, ++y)
          for (t[0] = 0; t[0] < axes.kernel[0]; ++t[0])
            for (t[1] = 0; t[1] < axes.kernel[1]; ++t[1])
              for (t[2] = 0; t[2] < axes.kernel[2]; ++t[2]) {
                Index at = 0, tap = c;
                bool inside = true;
                for (std::size_t i = 0; i < 3; ++i) {
                  const Index entry = o[i] * axes.stride[i] + t[i] * axes.dilation[i] - axes.before[i];
                  inside = inside && entry >= 0 && entry < axes.extent[i];
                  at = at * axes.extent[i] + entry;
                  tap = tap * axes.kernel[i] + t[i];
                }
                const Index group = c / (outputs / of.options.groups);
                for (Index j = 0; inside && j < own; ++j) visit(y, at * channels + group * own + j, tap * own + j);
              }
  return y;
}

class ConvolutionsOfAnyRank : public testing::TestWithParam<Case> {};

TEST_P(ConvolutionsOfAnyRank, HaveTheValueOfTheDefinition) {
  const Case& of = GetParam();
  const Evaluated found =
      evaluate([&](const auto& p) { return conv(p[0], p[1], p[2], of.options); }, {of.x, of.weight, {of.weight[0]}});
  const std::vector<double> theta = random_vector<double>(of.x.size() + of.weight.size() + of.weight[0], 1);
  std::vector<double> expected(found.value.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] = theta[static_cast<std::size_t>(of.x.size() + of.weight.size()) + i % of.weight.extents()[0]];
  const Index size = each_product(of, [&](Index y, Index x, Index w) {
    expected.at(static_cast<std::size_t>(y)) +=
        theta[static_cast<std::size_t>(x)] * theta[static_cast<std::size_t>(of.x.size() + w)];
  });
  EXPECT_EQ(size, static_cast<Index>(expected.size()));
  expect_near(found.value, expected, 1e-12, "value");
}

// ⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩, and in each entry.
TEST_P(ConvolutionsOfAnyRank, HaveTheTransposeOfTheDefinition) {
  const Case& of = GetParam();
  const ThreeAxes axes(of);
  std::vector<Index> y_extents, padding;
  for (std::size_t i = 4 - static_cast<std::size_t>(of.x.rank()); i < 3; ++i) {
    y_extents.push_back(axes.windows(i));
    const Index reached = (axes.windows(i) - 1) * axes.stride[i] + axes.dilation[i] * (axes.kernel[i] - 1) + 1;
    padding.push_back(axes.extent[i] + axes.before[i] + axes.after[i] - reached);
  }
  y_extents.push_back(of.weight[0]);
  const Shape y(y_extents);
  const ConvTransposeOptions options{.strides = of.options.strides,
                                     .dilations = of.options.dilations,
                                     .pads_begin = of.options.pads_begin,
                                     .pads_end = of.options.pads_end,
                                     .output_padding = padding,
                                     .groups = of.options.groups};
  const Evaluated found =
      evaluate([&](const auto& p) { return conv_transpose(p[0], p[1], p[2], options); }, {y, of.weight, {of.x[-1]}});
  const std::vector<double> theta = random_vector<double>(y.size() + of.weight.size() + of.x[-1], 1);
  ASSERT_EQ(static_cast<Index>(found.value.size()), of.x.size());
  std::vector<double> expected(found.value.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] = theta[static_cast<std::size_t>(y.size() + of.weight.size()) + i % static_cast<std::size_t>(of.x[-1])];
  each_product(of, [&](Index from, Index to, Index w) {
    expected.at(static_cast<std::size_t>(to)) +=
        theta[static_cast<std::size_t>(from)] * theta[static_cast<std::size_t>(y.size() + w)];
  });
  expect_near(found.value, expected, 1e-12, "value");
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ConvolutionsOfAnyRank,
    testing::Values(
        Case{{7, 3}, {4, 3, 3}, {}},
        Case{{11, 2}, {3, 4, 2}, {.strides = {2}, .dilations = {3}, .pads_begin = {5}, .pads_end = {1}}},
        Case{{6, 5, 4},
             {6, 3, 2, 2},
             {.strides = {2, 1}, .dilations = {1, 2}, .pads_begin = {1, 0}, .pads_end = {0, 3}, .groups = 2}},
        Case{{5, 6, 13}, {13, 3, 3, 1}, {.pads_begin = {1, 1}, .pads_end = {1, 1}, .groups = 13}},
        Case{{30, 8}, {8, 5, 1}, {.strides = {3}, .pads_begin = {9}, .pads_end = {2}, .groups = 8}},
        Case{{4, 3}, {6, 2, 1}, {.groups = 3}},
        Case{{4, 5, 6, 2}, {3, 2, 3, 2, 2}, {.strides = {1, 2, 3}, .pads_begin = {1, 0, 2}, .pads_end = {0, 2, 1}}},
        Case{{20, 20, 1}, {2, 3, 3, 1}, {}},                              // more positions than a strip
        Case{{3, 2}, {2, 1, 2}, {.strides = {4}}},                        // a stride beyond the end
        Case{{2, 1}, {1, 3, 1}, {.pads_begin = {6}, .pads_end = {0}}}));  // windows wholly in the padding

TEST(Conv, DepthwiseIsTheSameAsGroupsOfOneChannelWithOthersBesideIt) {
  // Twice as many outputs as channels go the way of groups; every second of them is the depthwise one.
  const auto doubled = [](const std::vector<Node>& p) {
    const Node twice = reshape(concatenate({reshape(p[1], {9, 1, 3, 1}), reshape(p[1], {9, 1, 3, 1})}, 1), {18, 3, 1});
    const Node y = conv(p[0], twice, {}, {.groups = 9});
    return reshape(slice(reshape(y, {y.shape()[0], 9, 2}), 2, 1, 2), {y.shape()[0], 9});
  };
  expect_same([](const auto& p) { return conv(p[0], p[1], {}, {.groups = 9}); }, doubled, {{6, 9}, {9, 3, 1}});
}

TEST(Conv, RefusesWhatDoesNotFit) {
  Builder build;
  const Node x = build.input("x", {5, 4}), w = build.parameter("w", {4, 3, 2}, {}, 4);
  EXPECT_THROW(conv(x, w), ShapeError);
  EXPECT_THROW(conv(x, w, {}, {.groups = 3}), ShapeError);
  EXPECT_THROW(conv(x, w, {}, {.groups = 0}), ShapeError);
  EXPECT_THROW(conv(x, w, {}, {.groups = Index{1} << 62}), ShapeError);
  EXPECT_THROW(conv(x, w, {}, {.strides = {0}, .groups = 2}), ShapeError);
  EXPECT_THROW(conv(x, w, {}, {.strides = {1, 1}, .groups = 2}), ShapeError);
  EXPECT_THROW(conv(x, w, {}, {.dilations = {3}, .groups = 2}), ShapeError);
  EXPECT_THROW(conv(x, w, {}, {.pads_end = {-1}, .groups = 2}), ShapeError);
  EXPECT_THROW(conv(x, w, {}, {.pads_end = {Index{1} << 62}, .groups = 2}), ShapeError);
  EXPECT_THROW(conv(x, w, build.parameter("b", {3}, {}, 3), {.groups = 2}), ShapeError);
  EXPECT_THROW(conv(x, build.input("moving", {4, 3, 2}), {}, {.groups = 2}), ShapeError);
  EXPECT_THROW(conv_transpose(x, w, {}, {.groups = 3}), ShapeError);
  EXPECT_THROW(conv_transpose(x, w, {}, {.output_padding = {1}}), ShapeError);
  EXPECT_THROW(conv_transpose(x, w, {}, {.pads_begin = {4}, .pads_end = {3}}), ShapeError);
}

}  // namespace
}  // namespace slopewise
