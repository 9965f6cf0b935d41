// Draws made from another draw: scaled by block, scaled by entry, with sums of pairs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/probe/pairs.hpp"
#include "slopewise/probe/scaled.hpp"
#include "tests/probe/layouts.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using testing::Pointwise;

class DerivedDraws : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Registry, DerivedDraws, testing::ValuesIn(probe_names()), [](const auto& law) {
  std::string name = law.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

std::vector<double> whole(const Draw& draw, Index k) {
  std::vector<double> v(static_cast<std::size_t>(draw.layout().size));
  draw.fill(k, 0, std::span(v));
  return v;
}

// Every way to read or add a draw's tangents agrees with `expected`, K vectors.
void expect_draw(const Draw& draw, const std::vector<TangentForm>& forms,
                 const std::vector<std::vector<double>>& expected) {
  const ParameterLayout& layout = draw.layout();
  const auto n = static_cast<std::size_t>(layout.size);
  ASSERT_EQ(draw.count(), static_cast<Index>(expected.size()));
  Tangents<double> tangents(layout, draw.count(), forms);
  draw.write(tangents);
  std::vector<double> expanded(n), coefficients(expected.size()), sum(n), added(n);
  for (Index k = 0; k < draw.count(); ++k) {
    const std::vector<double>& v = expected[static_cast<std::size_t>(k)];
    EXPECT_THAT(whole(draw, k), Pointwise(testing::DoubleNear(1e-6), v));
    std::vector<float> part(7);
    draw.fill(k, layout.size - 9, std::span(part));
    for (std::size_t i = 0; i < part.size(); ++i) EXPECT_NEAR(part[i], v[n - 9 + i], 1e-4);
    tangents.expand(k, expanded);
    EXPECT_THAT(expanded, Pointwise(testing::DoubleNear(1e-6), v));
    EXPECT_NEAR(draw.squared_norm(k), inner_product<double>(v, v), 1e-6 * (1 + inner_product<double>(v, v)));
    const double c = coefficients[static_cast<std::size_t>(k)] = 1.0 / static_cast<double>(k + 2);
    for (std::size_t i = 0; i < n; ++i) sum[i] += c * v[i];
  }
  draw.add_to(coefficients, std::span(added));
  EXPECT_THAT(added, Pointwise(testing::DoubleNear(1e-5), sum));
  // Packed where a matrix is large enough for it.
  Parameters<float> theta(layout.size);
  const Block& block = layout.blocks[1];
  if (block.columns > 1)
    theta.packed(layout.segments[static_cast<std::size_t>(block.weight)].offset, block.rows, block.columns);
  draw.add_to(coefficients, theta);
  for (std::size_t i = 0; i < n; ++i) ASSERT_NEAR(std::as_const(theta).values()[i], sum[i], 1e-3) << "entry " << i;
}

TEST_P(DerivedDraws, BlocksAreMultipliedByTheirScales) {
  for (const ParameterLayout& layout : {small_layout(), large_layout()}) {
    const auto probe = make_probe(GetParam(), layout, 3);
    const auto draw = probe->draw(4, 2);
    const std::vector<double> scales{0.5, 2, -3};
    std::vector<std::vector<double>> expected{whole(*draw, 0), whole(*draw, 1)};
    for (auto& v : expected) {
      for (const Segment& segment : layout.segments) {
        for (Index i = segment.offset; i < segment.offset + segment.size(); ++i)
          v[static_cast<std::size_t>(i)] *= scales[static_cast<std::size_t>(segment.block)];
      }
    }
    expect_draw(*scaled_by_block(draw, scales), probe->forms(), expected);
    std::vector<TangentForm> drawn = probe->forms();
    std::ranges::replace(drawn, TangentForm::kDense, TangentForm::kDrawn);
    if (GetParam().find("rank-one") != 0) expect_draw(*scaled_by_block(draw, scales), drawn, expected);
  }
}

TEST_P(DerivedDraws, EntriesAreMultipliedByTheirScales) {
  for (const ParameterLayout& layout : {small_layout(), large_layout()}) {
    const auto draw = make_probe(GetParam(), layout, 3)->draw(4, 2);
    const auto scales = std::make_shared<std::vector<double>>(random_vector<double>(layout.size, 5));
    std::vector<std::vector<double>> expected{whole(*draw, 0), whole(*draw, 1)};
    for (auto& v : expected) std::ranges::transform(v, *scales, v.begin(), std::multiplies<>());
    expect_draw(*scaled_by_entry(draw, scales), std::vector<TangentForm>(layout.segments.size(), TangentForm::kDense),
                expected);
  }
}

TEST_P(DerivedDraws, SumsOfPairsFollowTheTangents) {
  for (const ParameterLayout& layout : {small_layout(), large_layout()}) {
    const auto draw = make_probe(GetParam(), layout, 3)->draw(4, 3);
    std::vector<std::vector<double>> expected{whole(*draw, 0), whole(*draw, 1), whole(*draw, 2)};
    for (const auto& [i, j] : {std::pair{0, 1}, {0, 2}, {1, 2}}) {
      std::vector<double> sum = whole(*draw, i);
      std::ranges::transform(sum, whole(*draw, j), sum.begin(), std::plus<>());
      expected.push_back(sum);
    }
    expect_draw(*with_pair_sums(draw), std::vector<TangentForm>(layout.segments.size(), TangentForm::kDense), expected);
  }
}

TEST_P(DerivedDraws, ASlopeIsTheProductWithTheTangent) {
  for (const ParameterLayout& layout : {small_layout(), large_layout()}) {
    const auto draw = make_probe(GetParam(), layout, 3)->draw(4, 2);
    const auto x = random_vector<double>(layout.size, 5);
    for (Index k = 0; k < 2; ++k) EXPECT_NEAR(draw->slope(k, x), inner_product<double>(x, whole(*draw, k)), 1e-9);
    EXPECT_THROW(draw->slope(0, std::span(x).first(x.size() - 1)), ShapeError);
  }
}

TEST(ScaledDraws, WantAScaleForEach) {
  const auto draw = make_probe("gaussian", small_layout(), 3)->draw(4, 2);
  EXPECT_THAT(
      [&] {
        scaled_by_block(draw, {1, 2});
      },
      testing::ThrowsMessage<ShapeError>(testing::HasSubstr("3 scales, one for each block, found 2")));
  EXPECT_THAT([&] { scaled_by_entry(draw, std::make_shared<const std::vector<double>>(27)); },
              testing::ThrowsMessage<ShapeError>(testing::HasSubstr("28 scales, one for each entry, found 27")));
}

}  // namespace
}  // namespace slopewise
