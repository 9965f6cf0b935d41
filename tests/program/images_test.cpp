// Convolution and pooling against their definitions, at sizes that the registry's small examples do not reach: several
// strips of positions, strips across images, packed weights, whole registers of channels and what is left of them.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/philox.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/check.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/direct_conv.hpp"
#include "slopewise/tensor/products/backend.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

struct Case {
  Shape image;
  Index outputs, kernel;
  Conv2dOptions options;
};

// The loss is Σ tanh(tanh(x) ⋆ W + b): the convolution's input and output both carry tangents and second-order terms.
struct Convolution {
  explicit Convolution(const Case& of) : Convolution(of, Builder()) {}

  Node y;
  Program program;

 private:
  Convolution(const Case& of, Builder build)
      : y(conv2d(tanh(build.input("x", of.image)), of.outputs, of.kernel, of.options)), program(sum(tanh(y))) {}
};

template <class T>
Batch<T> batch_of(const std::vector<T>& images, Index rows) {
  return {.rows = rows, .inputs = {std::span<const T>(images)}};
}

// y of one image by the definition.
std::vector<double> convolve(const Case& of, const double* x, const double* weight, const double* bias) {
  const auto& [image, outputs, kernel, options] = of;
  std::vector<double> y;
  for (Index top = -options.padding; top + kernel <= image[0] + options.padding; top += options.stride) {
    for (Index left = -options.padding; left + kernel <= image[1] + options.padding; left += options.stride) {
      for (Index o = 0; o < outputs; ++o) {
        double total = bias[o];
        for (Index i = 0; i < kernel * kernel * image[2]; ++i) {
          const Index row = top + i / (kernel * image[2]), column = left + i / image[2] % kernel;
          if (row < 0 || row >= image[0] || column < 0 || column >= image[1]) continue;
          total += weight[o * kernel * kernel * image[2] + i] *
                   std::tanh(x[(row * image[1] + column) * image[2] + i % image[2]]);
        }
        y.push_back(total);
      }
    }
  }
  return y;
}

class Convolutions : public testing::TestWithParam<Case> {
 protected:
  static constexpr Index kRows = 3;
  const Convolution conv_{GetParam()};
  const std::vector<double> theta_ = random_vector<double>(conv_.program.size(), 1);
  const std::vector<double> images_ = random_vector<double>(kRows * GetParam().image.size(), 2);
};

TEST_P(Convolutions, HaveTheValueOfTheDefinition) {
  const Index weights = conv_.program.layout().segments[0].size();
  const Workload workload{.batch = kRows, .outputs = {conv_.y.number()}};
  Runner<double> runner(conv_.program, workload);
  runner.run(Parameters<double>(theta_), batch_of(images_, kRows));
  Runner<float> single(conv_.program, workload);
  const std::vector<float> single_images(images_.begin(), images_.end());
  single.run(Parameters<float>(std::vector<float>(theta_.begin(), theta_.end())), batch_of(single_images, kRows));
  const Index size = conv_.y.shape().size();
  for (Index r = 0; r < kRows; ++r) {
    const std::vector<double> expected =
        convolve(GetParam(), images_.data() + r * GetParam().image.size(), theta_.data(), theta_.data() + weights);
    ASSERT_EQ(static_cast<Index>(expected.size()), size);
    for (Index i = 0; i < size; ++i) {
      const double wanted = expected[static_cast<std::size_t>(i)];
      ASSERT_NEAR(runner.output(0)[static_cast<std::size_t>(r * size + i)], wanted, 1e-12);
      ASSERT_NEAR(static_cast<double>(single.output(0)[static_cast<std::size_t>(r * size + i)]), wanted, 1e-4);
    }
  }
}

TEST_P(Convolutions, PassTheChecker) {
  const CheckReport report = check_program(conv_.program, Parameters<double>(theta_), batch_of(images_, kRows),
                                           {.batch = kRows, .tangents = {2}});
  EXPECT_TRUE(report.passed()) << report.to_string();
}

TEST_P(Convolutions, AreTheSameBitForBitOnTwoThreads) {
  const std::vector<float> images(images_.begin(), images_.end());
  const Parameters<float> theta(std::vector<float>(theta_.begin(), theta_.end()));
  const auto results = [&](int threads) {
    const ThreadScope scope(threads);
    Tangents<float> tangents =
        Tangents<float>::dense(conv_.program.layout(), 2, random_vector<float>(2 * conv_.program.size(), 3));
    RunResult<float> run =
        Runner<float>(conv_.program, {.batch = kRows, .tangents = 2}).run(theta, batch_of(images, kRows), &tangents);
    std::vector<float> gradient(static_cast<std::size_t>(conv_.program.size()));
    Runner<float>(conv_.program, {.mode = Workload::Mode::kPullback, .batch = kRows})
        .gradient(theta, batch_of(images, kRows), gradient);
    return std::pair(run.slopes, gradient);
  };
  EXPECT_EQ(results(1), results(2));
}

// Along rank-one tangents and a tangent of the input at once; matrices of few outputs lie row by row, others packed.
TEST_P(Convolutions, HaveTheSlopesOfDoublesAlongRankOneTangents) {
  const auto slopes = [&]<class T>(T) {
    const ParameterLayout& layout = conv_.program.layout();
    Tangents<T> tangents(layout, 3, {TangentForm::kRankOne, TangentForm::kDense});
    auto draw = [seed = std::uint64_t{20}](std::span<T> to) mutable {
      const std::vector<float> drawn = random_vector<float>(static_cast<Index>(to.size()), ++seed);
      std::copy(drawn.begin(), drawn.end(), to.begin());
    };
    for (Index k = 0; k < tangents.count(); ++k) {
      draw(tangents.left(0, k));
      draw(tangents.right(0, k));
    }
    draw({tangents.dense(1), static_cast<std::size_t>(tangents.count() * layout.segments[1].size())});
    const Perturbation<T> moves = [](std::size_t, Index example, std::span<const T>, std::span<T> out) {
      const std::vector<float> drawn = random_vector<float>(static_cast<Index>(out.size()), 10 + example);
      std::copy(drawn.begin(), drawn.end(), out.begin());
    };
    const std::vector<T> images(images_.begin(), images_.end());
    Runner<T> runner(conv_.program, {.batch = kRows,
                                     .tangents = tangents.count(),
                                     .forms = tangents.forms(),
                                     .perturbed = {conv_.program.inputs()[0]}});
    return runner
        .run(Parameters<T>(std::vector<T>(theta_.begin(), theta_.end())), batch_of(images, kRows), &tangents, moves)
        .slopes;
  };
  const std::vector<double> found = slopes(float{}), expected = slopes(double{});
  ASSERT_EQ(found.size(), 3U);
  for (std::size_t k = 0; k < found.size(); ++k) EXPECT_NEAR(found[k], expected[k], 1e-4 * (1 + std::abs(expected[k])));
}

// Where images go through the library one by one; products of patches take several at a time.
TEST_P(Convolutions, OfAnImageDependOnNoneBesideIt) {
  const std::vector<float> images(images_.begin(), images_.end());
  const Parameters<float> theta(std::vector<float>(theta_.begin(), theta_.end()));
  const auto outputs = [&](Index first, Index rows) {
    const Index size = GetParam().image.size();
    const std::vector<float> some(images.begin() + first * size, images.begin() + (first + rows) * size);
    Runner<float> runner(conv_.program, {.batch = rows, .outputs = {conv_.y.number()}});
    runner.run(theta, batch_of(some, rows));
    const auto found = runner.output(0);
    return std::vector<float>(found.begin(), found.end());
  };
  std::vector<float> alone;
  for (Index r = 0; r < kRows; ++r) {
    const std::vector<float> one = outputs(r, 1);
    alone.insert(alone.end(), one.begin(), one.end());
  }
  const std::vector<float> together = outputs(0, kRows);
  ASSERT_EQ(alone.size(), together.size());
  const auto& [image, channels, kernel, options] = GetParam();
  WindowAxes axes{};
  for (const Index i : {1, 2}) {
    axes[i] = {.extent = image[i - 1],
               .kernel = kernel,
               .stride = options.stride,
               .before = options.padding,
               .after = options.padding};
    axes[i].out = (axes[i].extent + 2 * options.padding - kernel) / options.stride + 1;
  }
  if (DirectConv({.axes = axes, .channels = image[2], .outputs = channels}).scratch(0, false) == 0) {
    GTEST_SKIP() << "goes by patches";
  }
  EXPECT_EQ(alone, together);
}

TEST_P(Convolutions, DescendAlongTheGradient) {
  const std::vector<float> images(images_.begin(), images_.end());
  Parameters<float> theta(std::vector<float>(theta_.begin(), theta_.end()));
  std::vector<float> gradient(static_cast<std::size_t>(conv_.program.size()));
  Runner<float>(conv_.program, {.mode = Workload::Mode::kPullback, .batch = kRows})
      .gradient(theta, batch_of(images, kRows), gradient);
  constexpr double kRate = 1e-2;
  Runner<float>(conv_.program, {.mode = Workload::Mode::kDescent, .batch = kRows})
      .descend(theta, batch_of(images, kRows), kRate);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double step = kRate * static_cast<double>(gradient[i]);
    ASSERT_NEAR(static_cast<double>(theta.values()[i]), theta_[i] - step, 1e-6 + 1e-5 * std::abs(step));
  }
}

TEST_P(Convolutions, HaveTheSameSlopesInBfloat16) {
  if (!has_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  const std::vector<float> images(images_.begin(), images_.end());
  const Parameters<float> theta(std::vector<float>(theta_.begin(), theta_.end()));
  const Tangents<float> tangents =
      Tangents<float>::dense(conv_.program.layout(), 2, random_vector<float>(2 * conv_.program.size(), 3));
  // Tangents of the input reach the convolution's own products, which are what is rounded.
  const Perturbation<float> moves = [](std::size_t, Index example, std::span<const float>, std::span<float> out) {
    const std::vector<float> drawn = random_vector<float>(static_cast<Index>(out.size()), 10 + example);
    std::copy(drawn.begin(), drawn.end(), out.begin());
  };
  const auto slopes = [&](Precision precision) {
    Runner<float> runner(
        conv_.program,
        {.batch = kRows, .tangents = 2, .perturbed = {conv_.program.inputs()[0]}, .precision = precision});
    return runner.run(theta, batch_of(images, kRows), &tangents, moves).slopes;
  };
  const std::vector<double> exact = slopes(Precision::kFloat32);
  for (const Precision precision : {Precision::kBfloat16Tangents, Precision::kBfloat16}) {
    const std::vector<double> rounded = slopes(precision);
    for (std::size_t k = 0; k < exact.size(); ++k) EXPECT_NEAR(rounded[k], exact[k], 1e-2 * std::abs(exact[k]) + 1e-2);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Convolutions,
    testing::Values(Case{{20, 20, 1}, 3, 3, {}},                             // a strip ends inside an image
                    Case{{6, 7, 3}, 20, 3, {.stride = 2}},                   // one strip, packed weights
                    Case{{9, 8, 8}, 5, 5, {.stride = 1, .padding = 2}},      // windows over every edge
                    Case{{5, 5, 3}, 2, 1, {.stride = 2, .padding = 1}},      // windows wholly in the padding
                    Case{{12, 11, 32}, 70, 3, {.stride = 1, .padding = 1}},  // two panels of packed weights
                    Case{{6, 6, 70}, 20, 1, {}},                             // channels in two blocks on the way back
                    Case{{4, 4, 2}, 4, 4, {}}));                             // one position an image

// Which sizes go without patches: those of the cases above that have 16 windows or more, where the library convolves.
TEST(DirectConv, TakesWhatItsLibraryMakes) {
  const bool expected = backends().front()->kernels().starts_with("brg");
  const auto made = [](Index extent, Index stride, Index padding) {
    WindowAxis axis{.extent = extent, .kernel = 3, .stride = stride, .before = padding, .after = padding};
    axis.out = (extent + 2 * padding - 3) / stride + 1;
    return DirectConv({.axes = {WindowAxis{}, axis, axis}, .channels = 16, .outputs = 32});
  };
  EXPECT_EQ(made(8, 1, 1).scratch(0, false) > 0, expected);
  EXPECT_EQ(made(8, 1, 1).pulls_input(), expected);
  EXPECT_EQ(made(8, 1, 1).pulls_weight(5), expected);
  EXPECT_EQ(made(9, 2, 1).scratch(0, false) > 0, expected);
  EXPECT_FALSE(made(9, 2, 1).pulls_input());  // windows that move by two entries
  EXPECT_FALSE(made(9, 1, 3).pulls_input());  // windows in the padding
  EXPECT_EQ(made(5, 1, 0).scratch(0, false), 0);
  EXPECT_FALSE(made(5, 1, 0).pulls_weight(5));  // nine windows
}

struct Pool {
  Shape image;
  Index window, stride;
};
class Pools : public testing::TestWithParam<Pool> {};

// Visits the op itself: a run refuses NaN.
TEST_P(Pools, TakeTheFirstLargestOrTheFirstNaN) {
  const auto& [image, window, stride] = GetParam();
  Builder build;
  const Node y = max_pool2d(build.input("x", image), window, stride);
  std::vector<float> x, x_dot = random_vector<float>(image.size(), 2);
  RandomStream random(1);
  for (Index i = 0; i < image.size(); ++i) {  // few different values: many ties
    const std::uint64_t value = random.below(7);
    x.push_back(value == 6 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(value));
  }
  std::vector<float> value(static_cast<std::size_t>(y.shape().size())), tangent(value.size());
  const Jet<float> in{
      .rows = 1, .size = image.size(), .plane = image.size(), .value = x.data(), .tangent = x_dot.data()};
  const Index size = y.shape().size();
  y.graph()->nodes.back().op->push(
      Push<float>{.in = {&in, 1},
                  .out = {.rows = 1, .size = size, .plane = size, .value = value.data(), .tangent = tangent.data()},
                  .tangents = 1});
  std::size_t at = 0;
  for (Index row = 0; row < y.shape()[0]; ++row) {
    for (Index column = 0; column < y.shape()[1]; ++column) {
      for (Index c = 0; c < image[2]; ++c, ++at) {
        std::size_t best = 0;
        for (Index i = 0; i < window * window; ++i) {
          const Index entry = ((row * stride + i / window) * image[1] + column * stride + i % window) * image[2] + c;
          if (i == 0 || (!std::isnan(x[best]) && !(x[static_cast<std::size_t>(entry)] <= x[best])))
            best = static_cast<std::size_t>(entry);
        }
        ASSERT_TRUE(value[at] == x[best] || (std::isnan(value[at]) && std::isnan(x[best])));
        ASSERT_EQ(tangent[at], x_dot[best]);
      }
    }
  }
}

TEST_P(Pools, PassTheChecker) {
  const auto& [image, window, stride] = GetParam();
  for (const auto pool : {max_pool2d, average_pool2d}) {
    Builder build;
    const Node weights = build.parameter("w", image, {}, 1);
    const Program program(sum(square(pool(tanh(mul(build.input("x", image), weights)), window, stride))));
    const std::vector<double> theta = random_vector<double>(program.size(), 1);
    const std::vector<double> x = random_vector<double>(2 * image.size(), 2);
    const CheckReport report =
        check_program(program, Parameters<double>(theta), batch_of(x, 2),
                      {.batch = 2, .tangents = {2}, .step = 1e-6, .first_order = 1e-5, .second_order = 1e-4});
    EXPECT_TRUE(report.passed()) << report.to_string();
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Pools,
                         testing::Values(Pool{{6, 6, 1}, 2, 2}, Pool{{6, 5, 8}, 2, 2}, Pool{{7, 7, 19}, 3, 2},
                                         Pool{{5, 4, 64}, 3, 1}, Pool{{4, 4, 3}, 1, 1}));

}  // namespace
}  // namespace slopewise
