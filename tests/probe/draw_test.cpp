// Tangents entry by entry: pure functions of (seed, step, k, index), however they are asked for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/probe/factors.hpp"
#include "slopewise/probe/laws.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/probe/layouts.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

class LawDraws : public testing::TestWithParam<std::string> {
 protected:
  std::shared_ptr<const Probe> probe(const ParameterLayout& layout, std::uint64_t seed = 7) const {
    return make_probe(GetParam(), layout, seed);
  }
};

INSTANTIATE_TEST_SUITE_P(Registry, LawDraws, testing::ValuesIn(probe_names()), [](const auto& law) {
  std::string name = law.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

template <class T>
std::vector<T> whole(const Draw& draw, Index k) {
  std::vector<T> v(static_cast<std::size_t>(draw.layout().size));
  draw.fill(k, 0, std::span<T>(v));
  return v;
}

template <class T>
std::vector<T> in_pieces(const Draw& draw, Index k, std::uint64_t seed) {
  RandomStream random(seed);
  std::vector<T> v(static_cast<std::size_t>(draw.layout().size));
  for (std::size_t first = 0; first < v.size();) {
    const std::size_t count =
        std::min<std::size_t>(random.below(3) == 0 ? random.below(4) : random.below(6000), v.size() - first);
    draw.fill(k, static_cast<Index>(first), std::span<T>(v).subspan(first, count));
    first += count;
  }
  return v;
}

TEST_P(LawDraws, AnyCutOfTheRangeGivesTheSameEntries) {
  const auto draw = probe(large_layout())->draw(3, 2);
  for (Index k = 0; k < 2; ++k) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      EXPECT_EQ(in_pieces<float>(*draw, k, seed), whole<float>(*draw, k));
      EXPECT_EQ(in_pieces<double>(*draw, k, seed), whole<double>(*draw, k));
    }
  }
}

TEST_P(LawDraws, FloatIsDoubleButForRounding) {
  const auto draw = probe(large_layout())->draw(3, 3);
  for (Index k = 0; k < 3; ++k) {
    const auto narrow = whole<float>(*draw, k);
    const auto wide = whole<double>(*draw, k);
    for (std::size_t i = 0; i < wide.size(); ++i)
      ASSERT_NEAR(narrow[i], wide[i], 2e-6 * (1 + std::abs(wide[i]))) << "entry " << i;
  }
}

template <class T>
void expect_written(const Probe& probe) {
  const auto draw = probe.draw(5, 2);
  // What the memory held before does not matter.
  Tangents<T> tangents(probe.layout(), 2, probe.forms());
  probe.draw(4, 2)->write(tangents);
  draw->write(tangents);
  std::vector<T> expanded(static_cast<std::size_t>(probe.layout().size));
  for (Index k = 0; k < 2; ++k) {
    tangents.expand(k, expanded);
    EXPECT_EQ(expanded, whole<T>(*draw, k));
  }
}

TEST_P(LawDraws, WrittenTangentsExpandToTheSameEntries) {
  for (const ParameterLayout& layout : {small_layout(), large_layout(), ParameterLayout::vector(9)}) {
    expect_written<float>(*probe(layout));
    expect_written<double>(*probe(layout));
  }
}

TEST_P(LawDraws, AddToIsTheSumOfCoefficientsTimesTangents) {
  const std::vector<double> coefficients{0.5, -2, 0.125};
  for (const ParameterLayout& layout : {small_layout(), large_layout()}) {
    const auto draw = probe(layout)->draw(2, 3);
    const auto start = random_vector<double>(layout.size, 1);
    std::vector<double> expected = start;
    for (Index k = 0; k < 3; ++k) {
      const auto v = whole<double>(*draw, k);
      for (std::size_t i = 0; i < v.size(); ++i) expected[i] += coefficients[static_cast<std::size_t>(k)] * v[i];
    }
    const double largest = std::abs(*std::max_element(expected.begin(), expected.end(),
                                                      [](double a, double b) { return std::abs(a) < std::abs(b); }));
    std::vector<double> wide = start;
    draw->add_to(coefficients, std::span<double>(wide));
    EXPECT_THAT(wide, testing::Pointwise(testing::DoubleNear(1e-14 * largest), expected));
    std::vector<float> narrow(start.begin(), start.end());
    draw->add_to(coefficients, std::span<float>(narrow));
    EXPECT_THAT(std::vector<double>(narrow.begin(), narrow.end()),
                testing::Pointwise(testing::DoubleNear(2e-6 * largest), expected));
  }
}

// Matrices that are packed are changed as they are, all others and the biases as numbers.
TEST_P(LawDraws, AddToPackedMatricesIsThatToFlatOnes) {
  const std::vector<double> coefficients{0.5, -2, 0.125};
  const ParameterLayout layout = large_layout();
  const std::shared_ptr<const Draw> draw = probe(layout)->draw(2, 3);
  auto tangents = std::make_shared<Tangents<float>>(layout, 3, probe(layout)->forms());
  draw->write(*tangents);
  for (const auto& way : {draw, stored_draw(draw, tangents)}) {
    std::vector<float> flat = random_vector<float>(layout.size, 1);
    Parameters<float> theta(flat);
    const Block& first = layout.blocks[1];
    const Index offset = layout.segments[static_cast<std::size_t>(first.weight)].offset;
    theta.packed(offset, first.rows, first.columns);
    way->add_to(coefficients, theta);
    draw->add_to(coefficients, std::span(flat));
    EXPECT_NE(theta.edit_packed(offset, first.rows, first.columns), nullptr);
    double largest = 0;
    for (const float value : flat) largest = std::max(largest, std::abs(double{value}));
    EXPECT_THAT(std::vector<float>(std::as_const(theta).values().begin(), std::as_const(theta).values().end()),
                testing::Pointwise(testing::FloatNear(static_cast<float>(1e-6 * largest)), flat));
  }
}

TEST_P(LawDraws, SquaredNormIsThatOfTheEntries) {
  for (const ParameterLayout& layout : {small_layout(), large_layout()}) {
    const auto draw = probe(layout)->draw(2, 3);
    for (Index k = 0; k < 3; ++k) {
      const auto v = whole<double>(*draw, k);
      const double expected = inner_product<double>(v, v);
      EXPECT_NEAR(draw->squared_norm(k), expected, 1e-12 * expected);
    }
  }
}

TEST_P(LawDraws, SameBitsAtAnyNumberOfThreads) {
  const ParameterLayout layout = large_layout();
  const auto everything = [&](int threads) {
    const ThreadScope with(threads);
    const auto draw = probe(layout)->draw(9, 2);
    Tangents<float> tangents(layout, 2, probe(layout)->forms());
    draw->write(tangents);
    std::vector<float> found(static_cast<std::size_t>(2 * layout.size));
    tangents.expand(1, std::span(found).first(found.size() / 2));
    draw->add_to(std::vector<double>{0.3, 1.7}, std::span(found).last(found.size() / 2));
    return std::pair(found, std::pair(draw->squared_norm(0), draw->squared_norm(1)));
  };
  const auto one = everything(1);
  EXPECT_EQ(one, everything(2));
  EXPECT_EQ(one, everything(3));
}

TEST_P(LawDraws, SeedStepAndNumberTellTangentsApart) {
  const ParameterLayout layout = large_layout();
  const auto tangent = [&](std::uint64_t seed, std::uint32_t step, Index k) {
    return whole<float>(*probe(layout, seed)->draw(step, 2), k);
  };
  const std::vector<std::vector<float>> all{tangent(7, 3, 0),
                                            tangent(8, 3, 0),
                                            tangent(7, 4, 0),
                                            tangent(7, 3, 1),
                                            tangent(std::uint64_t{7} << 32, 3, 0),
                                            tangent(7, 1u << 31, 0)};
  for (std::size_t a = 0; a < all.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) EXPECT_NE(all[a], all[b]) << a << " and " << b;
  }
  EXPECT_EQ(all[0], tangent(7, 3, 0));
}

TEST_P(LawDraws, ATangentDoesNotDependOnHowManyThereAre) {
  const auto law = probe(small_layout());
  for (Index k = 0; k < 5; ++k) EXPECT_EQ(whole<double>(*law->draw(3, k + 1), k), whole<double>(*law->draw(3, 5), k));
}

TEST(Frame, TangentsAreOrthogonalAndOfLengthSqrtN) {
  for (const ParameterLayout& layout : {small_layout(), large_layout(), ParameterLayout::vector(1)}) {
    for (const Index wanted : {1, 2, 7, 28}) {
      const Index count = std::min(wanted, layout.size);
      const auto draw = make_probe("frame", layout, 3)->draw(1, count);
      const std::vector<double> gram = gram_matrix(*draw);
      const auto n = static_cast<double>(layout.size);
      for (Index a = 0; a < count; ++a) {
        for (Index b = 0; b <= a; ++b) {
          EXPECT_NEAR(gram[static_cast<std::size_t>(a * count + b)], a == b ? n : 0, 1e-9 * n)
              << "tangents " << a << " and " << b << " of " << count;
        }
      }
    }
  }
}

TEST(Sphere, TangentsHaveLengthSqrtN) {
  for (const ParameterLayout& layout : {small_layout(), large_layout(), ParameterLayout::vector(1)}) {
    const auto draw = make_probe("sphere", layout, 3)->draw(1, 4);
    const auto n = static_cast<double>(layout.size);
    for (Index k = 0; k < 4; ++k) EXPECT_NEAR(draw->squared_norm(k), n, 1e-12 * n);
  }
}

// ±1 everywhere, and of rank one in each matrix with its bias: every 2 × 2 minor vanishes.
// A draw that holds another's tangents is that draw, whatever is asked of it.
TEST(FactorDraw, IsTheDrawThatItHolds) {
  const ParameterLayout layout = small_layout();
  for (const std::string law : {"rank-one", "gaussian"}) {
    const auto probe = make_probe(law, layout, 3);
    const auto draw = probe->draw(2, 3);
    Tangents<float> held(layout, 3, probe->forms());
    draw->write(held);
    const auto found = factor_draw(held);
    Tangents<double> written(layout, 3, probe->forms());
    found->write(written);
    std::vector<double> expanded(static_cast<std::size_t>(layout.size));
    for (Index k = 0; k < 3; ++k) {
      EXPECT_EQ(whole<float>(*found, k), whole<float>(*draw, k)) << law;
      written.expand(k, expanded);
      EXPECT_EQ(expanded, whole<double>(*found, k)) << law;
    }
    const std::vector<double> coefficients{0.5, -2, 3};
    std::vector<double> sum(expanded.size()), expected(expanded.size());
    found->add_to(coefficients, std::span(sum));
    for (Index k = 0; k < 3; ++k) {
      const std::vector<double> v = whole<double>(*found, k);
      for (std::size_t i = 0; i < v.size(); ++i) expected[i] += coefficients[static_cast<std::size_t>(k)] * v[i];
    }
    EXPECT_THAT(sum, testing::Pointwise(testing::DoubleNear(1e-14), expected));
  }
  EXPECT_THROW(factor_draw(Tangents<float>(layout, 1, {5, TangentForm::kDrawn})), ArgumentError);
}

// Every matrix of a tangent has the rank r, and its rows lie in a span that is kept for ν steps, while the
// tangents themselves are new in every step.
TEST(LowRank, RowsStayInASpanForAsManySteps) {
  ParameterLayout layout;
  layout.add_bias("bias", layout.add("weight", {7, 5}, {}, 7));
  const auto probe = make_probe("low-rank", layout, 3, {.rank = 2, .hold = 4});
  // The largest of the 3 × 3 minors of rows from two steps: 0 where they share a span of two dimensions.
  const auto largest_minor = [&](std::uint32_t a, std::uint32_t b) {
    const std::vector<double> first = whole<double>(*probe->draw(a, 1), 0),
                              second = whole<double>(*probe->draw(b, 1), 0);
    double largest = 0;
    for (std::size_t c = 0; c + 2 < 5; ++c) {
      const double* r[] = {first.data() + c, first.data() + 5 + c, second.data() + c};
      largest = std::max(largest, std::abs(r[0][0] * (r[1][1] * r[2][2] - r[1][2] * r[2][1]) -
                                           r[0][1] * (r[1][0] * r[2][2] - r[1][2] * r[2][0]) +
                                           r[0][2] * (r[1][0] * r[2][1] - r[1][1] * r[2][0])));
    }
    return largest;
  };
  EXPECT_LT(largest_minor(4, 7), 1e-5);
  EXPECT_GT(largest_minor(3, 4), 1e-3);
  EXPECT_GT(largest_minor(7, 8), 1e-3);
  EXPECT_NE(whole<double>(*probe->draw(4, 1), 0), whole<double>(*probe->draw(5, 1), 0));
}

// With W kept, an estimate's moments over the draws of all steps are still those predicted, step by step: 57
// comparisons for each rank, at 8e-11.
TEST(LowRank, HasThePredictedVarianceAtAnyRankAndHold) {
  ParameterLayout layout;
  layout.add_bias("bias", layout.add("weight", {4, 3}, {}, 4));
  layout.add("gain", {3}, {}, 3);
  const std::vector<double> gradient = random_vector<double>(layout.size, 5);
  const GradientView view(layout, gradient);
  for (const Index rank : {1, 3, 8}) {
    const auto probe = make_probe("low-rank", layout, 9, {.rank = rank, .hold = 3});
    MomentsArray estimates(gradient.size(), 4);
    std::vector<double> v(gradient.size());
    for (std::uint32_t step = 0; step < 100'000; ++step) {
      probe->draw(3 * step + 1, 1)->fill(0, 0, std::span<double>(v));  // a period each, so that they are independent
      const double slope = inner_product<double>(v, gradient);
      for (double& entry : v) entry *= slope;
      estimates.add(v);
    }
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      const CentralMoments entry = estimates.entry(i);
      EXPECT_TRUE(agrees(entry.mean, gradient[i], entry.mean_error(), 1e-6)) << i;
      EXPECT_TRUE(
          agrees(entry.variance(), probe->entry_variance(view, static_cast<Index>(i), 1), entry.variance_error(), 1e-6))
          << rank << ", " << i;
    }
  }
}

TEST(RankOne, EachBlockIsAnOuterProduct) {
  const ParameterLayout layout = small_layout();
  for (const std::string_view law : {"rank-one", "rank-one-gaussian"}) {
    const auto v = whole<double>(*make_probe(law, layout, 3)->draw(1, 1), 0);
    for (const Block& block : layout.blocks) {
      const auto entry = [&](Index row, Index column) {
        const bool in_bias = column == block.columns;
        const Segment& segment = layout.segments[static_cast<std::size_t>(in_bias ? block.bias : block.weight)];
        return v[static_cast<std::size_t>(segment.offset + (in_bias ? row : row * block.columns + column))];
      };
      for (Index row = 1; row < block.rows; ++row) {
        for (Index column = 1; column < block.columns_with_bias(); ++column) {
          EXPECT_NEAR(entry(0, 0) * entry(row, column), entry(0, column) * entry(row, 0), 1e-6);
        }
      }
      if (law == "rank-one") {
        for (Index row = 0; row < block.rows; ++row) EXPECT_EQ(std::abs(entry(row, 0)), 1);
      }
    }
  }
}

}  // namespace
}  // namespace slopewise
