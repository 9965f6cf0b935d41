#include "slopewise/statistics/histogram.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "slopewise/base/error.hpp"
#include "tests/statistics/draws.hpp"

namespace slopewise {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Histogram, CountsHalfOpenBinsAndTheLastEdge) {
  Histogram histogram(0, 2, 4);
  histogram.add(std::vector<double>{-0.1, 0, 0.49, 0.5, 1.0, 1.99, 2.0, 2.01, -kInfinity, kInfinity});
  EXPECT_EQ((std::vector<std::int64_t>(histogram.counts().begin(), histogram.counts().end())),
            (std::vector<std::int64_t>{2, 1, 1, 2}));
  EXPECT_EQ(histogram.underflow(), 2);
  EXPECT_EQ(histogram.overflow(), 2);
  EXPECT_EQ(histogram.total(), 10);
  EXPECT_DOUBLE_EQ(histogram.density(0), 0.2 / 0.5);
}

// 0.1 · k is rarely a double: an edge, and the double just below it, must fall on their own sides.
TEST(Histogram, PutsEveryEdgeIntoItsBin) {
  for (const std::size_t bins : {1u, 3u, 7u, 10u, 97u, 1000u}) {
    const Histogram empty(-0.3, 0.7, bins);
    EXPECT_EQ(empty.edge(0), -0.3);
    EXPECT_EQ(empty.edge(bins), 0.7);
    for (std::size_t i = 0; i < bins; ++i) {
      Histogram histogram = empty;
      histogram.add(empty.edge(i));
      EXPECT_EQ(histogram.counts()[i], 1) << "edge " << i << " of " << bins;
      if (i == 0) continue;
      histogram.add(std::nextafter(empty.edge(i), -1));
      EXPECT_EQ(histogram.counts()[i - 1], 1) << "below edge " << i << " of " << bins;
    }
  }
}

TEST(Histogram, MergedEqualsSequential) {
  RandomStream random(1);
  const auto values = draw_normals(random, 1000);
  Histogram all(-2, 2, 17), left(-2, 2, 17), right(-2, 2, 17);
  for (std::size_t i = 0; i < values.size(); ++i) {
    all.add(values[i]);
    (i < 300 ? left : right).add(values[i]);
  }
  left.merge(right);
  for (std::size_t i = 0; i < all.bins(); ++i) EXPECT_EQ(left.counts()[i], all.counts()[i]);
  EXPECT_EQ(left.underflow(), all.underflow());
  EXPECT_EQ(left.overflow(), all.overflow());
  EXPECT_GT(all.underflow(), 0);
}

TEST(Histogram, DensityIntegratesToTheShareInside) {
  RandomStream random(2);
  Histogram histogram(-1, 1.5, 20);
  histogram.add(draw_normals(random, 500));
  double integral = 0;
  for (std::size_t i = 0; i < 20; ++i) integral += histogram.density(i) * (histogram.edge(i + 1) - histogram.edge(i));
  const auto outside = static_cast<double>(histogram.underflow() + histogram.overflow());
  EXPECT_NEAR(integral, 1 - outside / 500, 1e-12);
  EXPECT_TRUE(std::isnan(Histogram(0, 1, 1).density(0)));
}

TEST(Histogram, RefusesWhatItCannotHold) {
  EXPECT_THROW(Histogram(1, 1, 3), ArgumentError);
  EXPECT_THROW(Histogram(0, kInfinity, 3), ArgumentError);
  EXPECT_THROW(Histogram(0, std::nan(""), 3), ArgumentError);
  EXPECT_THROW(Histogram(0, 1, 0), ArgumentError);
  Histogram histogram(0, 1, 3);
  EXPECT_THROW(histogram.add(std::nan("")), NumericError);
  EXPECT_THROW(histogram.merge(Histogram(0, 1, 4)), ArgumentError);
  EXPECT_THROW(histogram.merge(Histogram(0, 2, 3)), ArgumentError);
}

}  // namespace
}  // namespace slopewise
