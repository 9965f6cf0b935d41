// Attention in one op against softmax and products, and the memory it takes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "tests/program/evaluate.hpp"

namespace slopewise {
namespace {

constexpr double kHidden = -1e30;

// softmax(scale q kᵀ + mask) v in single ops, keys and values repeated for the heads that share them.
Node unfused(const Node& q, const Node& k, const Node& v, double scale_by, const std::optional<Node>& mask) {
  const Index group = q.shape()[0] / k.shape()[0];
  const auto repeated = [&](const Node& x) {
    if (group == 1) return x;
    std::vector<Node> heads;
    for (Index head = 0; head < q.shape()[0]; ++head) heads.push_back(slice(x, 0, head / group, head / group + 1));
    return concatenate(heads, 0);
  };
  Node scores = scale(matmul(q, repeated(k), {.transpose_b = true}), scale_by);
  if (mask) scores = scores + *mask;
  return matmul(softmax(scores), repeated(v));
}

// 0 where query i sees key j, far below any score where it does not.
Node causal_mask(const Node& like, Index queries, Index keys, Index offset) {
  std::vector<double> mask;
  for (Index i = 0; i < queries; ++i) {
    for (Index j = 0; j < keys; ++j) mask.push_back(j <= i + offset ? 0 : kHidden);
  }
  return Builder(like).constant({queries, keys}, std::move(mask));
}

struct Case {
  Index heads, kv_heads, queries, keys, d, dv;
};

TEST(Attention, IsSoftmaxBetweenProducts) {
  for (const Case& of :
       {Case{2, 2, 5, 5, 4, 4}, Case{4, 2, 3, 7, 2, 5}, Case{1, 1, 1, 1, 1, 1}, Case{3, 1, 130, 300, 3, 2}}) {
    const double by = 1 / std::sqrt(static_cast<double>(of.d));
    const std::vector<Shape> shapes = {{of.heads, of.queries, of.d},
                                       {of.kv_heads, of.keys, of.d},
                                       {of.kv_heads, of.keys, of.dv},
                                       {of.queries, of.keys}};
    SCOPED_TRACE(testing::Message() << of.heads << " heads, " << of.keys << " keys");
    expect_same([](const auto& p) { return scaled_dot_product_attention(p[0], p[1], p[2], {.mask = p[3]}); },
                [=](const auto& p) { return unfused(p[0], p[1], p[2], by, p[3]); }, shapes, 1e-11, -2, 2);
    const std::vector<Shape> three(shapes.begin(), shapes.end() - 1);
    const Index offset = of.keys - of.queries;
    expect_same(
        [=](const auto& p) {
          return scaled_dot_product_attention(p[0], p[1], p[2],
                                              {.causal = true, .causal_offset = offset, .scale = 0.7});
        },
        [=](const auto& p) { return unfused(p[0], p[1], p[2], 0.7, causal_mask(p[0], of.queries, of.keys, offset)); },
        three, 1e-11, -2, 2);
  }
}

TEST(Attention, ReadsHeadsWhereALinearMapPutsThem) {
  const std::vector<Shape> shapes = {{5, 4, 3}, {6, 2, 3}, {6, 2, 2}};
  expect_same(
      [](const auto& p) {
        return scaled_dot_product_attention(p[0], p[1], p[2], {.causal = true, .heads_second = true});
      },
      [](const auto& p) {
        const auto turned = [](const Node& x) { return transpose(x, {1, 0, 2}); };
        return turned(scaled_dot_product_attention(turned(p[0]), turned(p[1]), turned(p[2]), {.causal = true}));
      },
      shapes);
}

TEST(Attention, OfAQueryThatSeesNoKeyIsZero) {
  const double hidden = -std::numeric_limits<double>::infinity();
  const Evaluated found = evaluate(
      [=](const auto& p) {
        const Node mask = Builder(p[0]).constant({2, 2}, std::vector<double>{hidden, hidden, 0, hidden});
        return scaled_dot_product_attention(p[0], p[1], p[2], {.mask = mask});
      },
      {{1, 2, 3}, {1, 2, 3}, {1, 2, 2}});
  const std::vector<double> theta = random_vector<double>(6 + 6 + 4, 1);
  expect_near(found.value, {0, 0, theta[12], theta[13]}, 1e-15, "value");
  for (std::size_t i = 0; i < 12; ++i) EXPECT_NEAR(found.gradient[i], 0, 1e-15) << i;
}

// Scores far from 0, where exp of them would overflow or vanish.
TEST(Attention, OfLargeScoresIsStable) {
  Builder build;
  const Node x = build.parameter("x", {1, 300, 2}, {}, 1);
  const Program program(sum(scaled_dot_product_attention(x, x, x, {.scale = 100})));
  std::vector<float> theta = random_vector<float>(600, 3, -10, 10);
  const auto tangents = Tangents<float>::dense(program.layout(), 1, random_vector<float>(600, 4));
  const RunResult<float> found =
      Runner<float>(program, {.tangents = 1, .order = 2}).run(Parameters<float>(theta), {.rows = 1}, &tangents);
  EXPECT_TRUE(std::isfinite(found.slopes[0]) && std::isfinite(found.curvatures[0]));
}

TEST(Attention, NeverHoldsQueriesTimesKeys) {
  const auto bytes = [](Index length, Workload workload) {
    Builder build;
    const Node x = build.input("x", {1, length, 64}), w = build.parameter("w", {64}, {}, 64);
    return Program(sum(scaled_dot_product_attention(x * w, x * w, x * w, {.causal = true}))).memory(workload).total();
  };
  constexpr Index kLength = 4096, kTangents = 8;
  for (const Workload& workload : {Workload{.tangents = kTangents}, Workload{.tangents = kTangents, .order = 2},
                                   Workload{.mode = Workload::Mode::kPullback}}) {
    const Index half = bytes(kLength / 2, workload), whole = bytes(kLength, workload),
                twice = bytes(2 * kLength, workload);
    // Second differences vanish but for rounding to cache lines: no term in T².
    EXPECT_NEAR(static_cast<double>(twice - whole), 2.0 * static_cast<double>(whole - half), 4096);
    EXPECT_LT(whole, kLength * kLength * static_cast<Index>(sizeof(float)));
  }
}

TEST(Attention, RefusesWhatDoesNotFit) {
  Builder build;
  const Node q = build.input("q", {4, 5, 3}), k = build.input("k", {2, 6, 3}), v = build.input("v", {2, 6, 2});
  EXPECT_EQ(scaled_dot_product_attention(q, k, v).shape(), (Shape{4, 5, 2}));
  EXPECT_THROW(scaled_dot_product_attention(k, q, v), ShapeError);
  EXPECT_THROW(scaled_dot_product_attention(q, k, q), ShapeError);
  EXPECT_THROW(scaled_dot_product_attention(q, build.input("k3", {3, 6, 3}), build.input("v3", {3, 6, 2})), ShapeError);
  EXPECT_THROW(scaled_dot_product_attention(q, build.input("kw", {2, 6, 4}), v), ShapeError);
  EXPECT_THROW(scaled_dot_product_attention(q, build.input("flat", {6, 3}), v), ShapeError);
  for (const Shape& mask : {Shape{5, 5}, Shape{6}, Shape{2, 5, 6}, Shape{1, 1, 5, 6}, Shape{4, 6}})
    EXPECT_THROW(scaled_dot_product_attention(q, k, v, {.mask = build.input("m" + mask.to_string(), mask)}),
                 ShapeError);
}

}  // namespace
}  // namespace slopewise
