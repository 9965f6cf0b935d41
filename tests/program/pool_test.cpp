// Pooling of one to three axes against its definition.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "slopewise/base/error.hpp"
#include "tests/program/evaluate.hpp"

namespace slopewise {
namespace {

// Of one axis of x (size, channels): the definition, in the words of PyTorch's documentation.
struct Expected {
  std::vector<double> largest, mean;
};
Expected pooled(const std::vector<double>& x, Index size, Index channels, Index kernel, Index stride, Index dilation,
                Index begin, Index end, bool ceil_mode, bool count_pad) {
  Expected expected;
  const Index span = dilation * (kernel - 1) + 1;
  for (Index start = -begin;; start += stride) {
    const bool whole = start + span <= size + end;
    if (!whole && (!ceil_mode || start >= size || start - stride + span == size + end)) break;
    for (Index c = 0; c < channels; ++c) {
      double most = -std::numeric_limits<double>::infinity(), total = 0, count = 0;
      for (Index t = 0; t < kernel; ++t) {
        const Index at = start + t * dilation;
        const bool inside = at >= 0 && at < size;
        if (inside) most = std::max(most, x[static_cast<std::size_t>(at * channels + c)]);
        if (inside) total += x[static_cast<std::size_t>(at * channels + c)];
        if (inside || (count_pad && at < size + end)) ++count;
      }
      expected.largest.push_back(most);
      expected.mean.push_back(total / count);
    }
    if (!whole) break;
  }
  return expected;
}

TEST(Pool, OfOneAxisHasTheValueOfTheDefinition) {
  for (const Index channels : {1, 9}) {
    for (const Index kernel : {1, 2, 3}) {
      for (const Index stride : {1, 2, 3}) {
        for (const Index dilation : {1, 2}) {
          for (int way = 0; way < 4 * kernel; ++way) {
            const bool ceil_mode = way % 2 != 0, count_pad = way / 2 % 2 != 0;
            const Index begin = way / 4, end = kernel - 1 - begin, size = 8;
            SCOPED_TRACE(testing::Message()
                         << kernel << " taps " << dilation << " apart, stride " << stride << ", padding " << begin
                         << " and " << end << ", " << ceil_mode << count_pad);
            const PoolOptions options{.strides = {stride},
                                      .dilations = {dilation},
                                      .pads_begin = {begin},
                                      .pads_end = {end},
                                      .ceil_mode = ceil_mode,
                                      .count_include_pad = count_pad};
            const auto x = random_vector<double>(size * channels, 1);
            const Expected expected =
                pooled(x, size, channels, kernel, stride, dilation, begin, end, ceil_mode, count_pad);
            const std::vector<Index> taps{kernel};
            const auto value = [&](auto pool) {
              return evaluate([&](const auto& p) { return pool(p[0], taps, options); }, {{size, channels}}).value;
            };
            expect_near(value(max_pool), expected.largest, 0, "largest");
            expect_near(value(average_pool), expected.mean, 1e-14, "mean");
          }
        }
      }
    }
  }
}

// Windows of three axes are windows of one axis, three times, where each has the same number of taps.
TEST(Pool, OfThreeAxesIsOfOneAfterTheOther) {
  const std::vector<Shape> shapes = {{5, 4, 6, 3}};
  const auto along = [](const Node& x, Index axis, const std::function<Node(const Node&)>& pool) {
    // The axis first, the others as channels.
    std::vector<Index> order{axis}, back(4);
    for (Index i = 0; i < 4; ++i) {
      if (i != axis) order.push_back(i);
    }
    for (std::size_t i = 0; i < 4; ++i) back[static_cast<std::size_t>(order[i])] = static_cast<Index>(i);
    const Node turned = transpose(x, order);
    std::vector<Index> extents = turned.shape().extents();
    const Node y = pool(reshape(turned, {extents[0], turned.shape().size() / extents[0]}));
    extents[0] = y.shape()[0];
    return transpose(reshape(y, Shape(extents)), back);
  };
  expect_same(
      [](const auto& p) {
        return max_pool(p[0], {2, 3, 2}, {.strides = {2, 1, 3}, .pads_end = {1, 0, 1}});
      },
      [&](const auto& p) {
        Node x = along(p[0], 2, [](const Node& y) { return max_pool(y, {2}, {.strides = {3}, .pads_end = {1}}); });
        x = along(x, 1, [](const Node& y) { return max_pool(y, {3}); });
        return along(x, 0, [](const Node& y) { return max_pool(y, {2}, {.strides = {2}, .pads_end = {1}}); });
      },
      shapes);
  expect_same(
      [](const auto& p) {
        return average_pool(p[0], {2, 3, 2}, {.strides = {2, 1, 2}});
      },
      [&](const auto& p) {
        Node x = along(p[0], 2, [](const Node& y) { return average_pool(y, {2}, {.strides = {2}}); });
        x = along(x, 1, [](const Node& y) { return average_pool(y, {3}); });
        return along(x, 0, [](const Node& y) { return average_pool(y, {2}, {.strides = {2}}); });
      },
      shapes);
}

TEST(Pool, RefusesWhatDoesNotFit) {
  Builder build;
  const Node x = build.input("x", {5, 4});
  EXPECT_THROW(max_pool(x, {2, 2}, {}), ShapeError);
  EXPECT_THROW(max_pool(x, {6}, {}), ShapeError);
  EXPECT_THROW(max_pool(x, {0}, {.strides = {1}}), ShapeError);
  EXPECT_THROW(max_pool(x, {2}, {.strides = {0}}), ShapeError);
  EXPECT_THROW(average_pool(x, {2}, {.pads_begin = {2}}), ShapeError);  // a window in the padding
  EXPECT_THROW(max_pool(x, {Index{1} << 25}, {.pads_begin = {Index{1} << 25}}), ShapeError);
  EXPECT_THROW(max_pool(build.input("flat", {5}), {2}, {}), ShapeError);
}

}  // namespace
}  // namespace slopewise
