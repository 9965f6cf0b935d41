#include "slopewise/tensor/products/convolution.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/products/backend.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using Numbers = std::vector<float>;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// The axes with their numbers of windows.
Convolution of(WindowAxes axes, Index channels, Index outputs) {
  for (WindowAxis& axis : axes) axis.out = (axis.extent + axis.before + axis.after - axis.span()) / axis.stride + 1;
  return {.axes = axes, .channels = channels, .outputs = outputs};
}

// One to three axes; blocks of every height, whole and not; strides that leave entries unread, windows that lie in the
// padding.
const Convolution kCases[] = {
    of({WindowAxis{}, {.extent = 9, .kernel = 3, .before = 1, .after = 1}, {.extent = 8, .kernel = 3}}, 16, 16),
    of({WindowAxis{}, {.extent = 9, .kernel = 3, .before = 1, .after = 1}, {.extent = 8, .kernel = 3}}, 3, 17),
    of({WindowAxis{}, {.extent = 12, .kernel = 5, .stride = 2, .before = 2}, {.extent = 11, .kernel = 2, .stride = 3}},
       1, 48),
    of({WindowAxis{}, {.extent = 8, .kernel = 1, .stride = 2}, {.extent = 8, .kernel = 1, .stride = 2}}, 20, 64),
    of({WindowAxis{},
        {.extent = 7, .kernel = 3, .dilation = 2, .before = 4, .after = 3},
        {.extent = 9, .kernel = 2, .dilation = 3, .after = 5}},
       5, 130),
    of({WindowAxis{}, WindowAxis{}, {.extent = 40, .kernel = 7, .stride = 3, .before = 9, .after = 2}}, 6, 33),
    of({WindowAxis{.extent = 4, .kernel = 2, .before = 1},
        {.extent = 5, .kernel = 3, .stride = 2},
        {.extent = 6, .kernel = 2, .stride = 3, .after = 1}},
       4, 8),
    of({WindowAxis{}, {.extent = 6, .kernel = 3, .before = 1, .after = 1}, {.extent = 6, .kernel = 3}}, 64, 128),
    of({WindowAxis{}, {.extent = 5, .kernel = 3, .before = 1, .after = 1}, {.extent = 5, .kernel = 3}}, 1040, 16),
};

// Calls visit(window, entry of x, tap) for each tap of each window that lies on an entry, all channels together.
template <class F>
void each_meeting(const Convolution& of, F visit) {
  const auto& [depth, height, width] = of.axes;
  Index window = 0;
  for (Index z = 0; z < depth.out; ++z)
    for (Index row = 0; row < height.out; ++row)
      for (Index column = 0; column < width.out; ++column, ++window) {
        Index tap = 0;
        for (Index a = 0; a < depth.kernel; ++a)
          for (Index b = 0; b < height.kernel; ++b)
            for (Index c = 0; c < width.kernel; ++c, ++tap) {
              const Index entry[] = {depth.entry(z, a), height.entry(row, b), width.entry(column, c)};
              bool inside = true;
              Index from = 0;
              for (std::size_t axis = 0; axis < 3; ++axis) {
                inside = inside && entry[axis] >= 0 && entry[axis] < of.axes[axis].extent;
                from = from * of.axes[axis].extent + entry[axis];
              }
              if (inside) visit(window, from, tap);
            }
      }
}

// W ⋆ x by the definition; both drawn.
struct Drawn {
  explicit Drawn(const Convolution& of)
      : x(random_vector<float>(of.image(), 1)),
        weights(random_vector<float>(of.outputs * of.columns(), 2)),
        y(static_cast<std::size_t>(of.windows() * of.outputs), 0.0) {
    each_meeting(of, [&](Index window, Index from, Index tap) {
      for (Index o = 0; o < of.outputs; ++o)
        for (Index j = 0; j < of.channels; ++j)
          y[static_cast<std::size_t>(window * of.outputs + o)] +=
              double{x[static_cast<std::size_t>(from * of.channels + j)]} *
              weights[static_cast<std::size_t>(o * of.columns() + tap * of.channels + j)];
    });
  }

  Numbers x, weights;
  std::vector<double> y;
};

Numbers arranged(const Convolution& of, const Numbers& weights) {
  const Index block = filter_block(of);
  Numbers filters(static_cast<std::size_t>(filter_entries(of.outputs, of.columns(), block)), kNaN);
  arrange_filters(weights.data(), of.outputs, of.columns(), block, filters.data());
  return filters;
}

TEST(Convolve, AgreesWithTheDefinition) {
  for (const Convolution& of : kCases) {
    if (filter_block(of) == 0) continue;
    const Drawn drawn(of);
    const Numbers filters = arranged(of, drawn.weights);
    Numbers y(drawn.y.size(), kNaN);
    convolve(of, filters.data(), drawn.x.data(), false, y.data());
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], drawn.y[i], rounding<float>(of.columns())) << i;
    convolve(of, filters.data(), drawn.x.data(), true, y.data());
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], 2 * drawn.y[i], rounding<float>(2 * of.columns()));
  }
}

TEST(Convolve, FilterGradientAgreesWithTheDefinition) {
  for (const Convolution& of : kCases) {
    constexpr Index kImages = 3;
    const Index scratch_entries = filter_gradient_scratch(of, kImages);
    if (scratch_entries == 0) continue;
    const Numbers x = random_vector<float>(kImages * of.image(), 1);
    const Numbers cotangent = random_vector<float>(kImages * of.windows() * of.outputs, 2);
    std::vector<double> expected(static_cast<std::size_t>(of.outputs * of.columns()), 0.0);
    for (Index image = 0; image < kImages; ++image) {
      each_meeting(of, [&](Index window, Index from, Index tap) {
        for (Index o = 0; o < of.outputs; ++o)
          for (Index j = 0; j < of.channels; ++j)
            expected[static_cast<std::size_t>((o * of.columns()) + tap * of.channels + j)] +=
                double{cotangent[static_cast<std::size_t>((image * of.windows() + window) * of.outputs + o)]} *
                x[static_cast<std::size_t>(image * of.image() + from * of.channels + j)];
      });
    }
    Numbers found(expected.size(), kNaN), scratch(static_cast<std::size_t>(scratch_entries), kNaN);
    filter_gradient(of, kImages, x.data(), cotangent.data(), found.data(), scratch.data());
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], rounding<float>(kImages * of.windows())) << i;
  }
}

TEST(Convolve, IsThereWhereThePreferredLibraryHasIt) {
  const bool expected = backends().front()->kernels().starts_with("brg");
  for (const Convolution& of : kCases) EXPECT_EQ(filter_block(of) > 0, expected) << of.channels << " " << of.outputs;
  EXPECT_EQ(filter_gradient_scratch(kCases[0], 2) > 0, expected);
}

TEST(Convolve, BitsDependOnNoNumberOfThreads) {
  for (const Convolution& of : kCases) {
    if (filter_block(of) == 0) continue;
    const Drawn drawn(of);
    const Numbers filters = arranged(of, drawn.weights);
    const auto made = [&] {
      Numbers y(drawn.y.size(), kNaN);
      convolve(of, filters.data(), drawn.x.data(), false, y.data());
      return y;
    };
    const Numbers expected = made();
    Numbers elsewhere;
    std::thread([&] {
      const ThreadScope scope(2);
      elsewhere = made();
    }).join();
    EXPECT_EQ(elsewhere, expected);
  }
}

}  // namespace
}  // namespace slopewise
