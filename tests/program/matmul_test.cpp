// Products of matrices with leading axes against their definition.
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "tests/program/evaluate.hpp"

namespace slopewise {
namespace {

// Entry i of an axis of extent `extent`, where 1 is broadcast.
Index broadcast(Index extent, Index i) {
  return extent == 1 ? 0 : i;
}

TEST(MatMul, OfAnyRankHasTheValueOfTheDefinition) {
  const std::vector<std::pair<Shape, Shape>> cases = {
      {{2, 3}, {3, 4}},       {{2, 3, 4, 5}, {2, 3, 5, 2}}, {{3, 1, 4, 5}, {2, 5, 3}}, {{4, 5}, {2, 3, 5, 2}},
      {{2, 3, 4, 5}, {5, 2}}, {{1, 1, 2, 2}, {2, 2}},       {{2, 0}, {0, 3}},          {{4, 1, 3}, {2, 4, 3, 1}}};
  for (const auto& [a, b] : cases) {
    for (int way = 0; way < 4; ++way) {
      const MatMulOptions options{.transpose_a = (way & 1) != 0, .transpose_b = (way & 2) != 0};
      SCOPED_TRACE(testing::Message() << a.to_string() << " " << b.to_string() << " " << way);
      const auto turned = [](const Shape& shape, bool turn) {
        std::vector<Index> extents = shape.extents();
        if (turn) std::swap(extents[extents.size() - 1], extents[extents.size() - 2]);
        return Shape(extents);
      };
      const Shape lies_a = turned(a, options.transpose_a), lies_b = turned(b, options.transpose_b);
      const Evaluated found = evaluate([&](const auto& p) { return matmul(p[0], p[1], options); }, {lies_a, lies_b});
      const std::vector<double> theta = random_vector<double>(a.size() + b.size(), 1);
      const auto extent = [](const Shape& shape, Index from_end) {
        return from_end <= shape.rank() ? shape[-from_end] : 1;
      };
      const Index m = a[-2], k = a[-1], n = b[-1];
      std::vector<double> expected;
      for (Index i = 0; i < std::max(extent(a, 4), extent(b, 4)); ++i) {
        for (Index j = 0; j < std::max(extent(a, 3), extent(b, 3)); ++j) {
          const Index at_a = (broadcast(extent(a, 4), i) * extent(a, 3) + broadcast(extent(a, 3), j)) * m * k;
          const Index at_b = (broadcast(extent(b, 4), i) * extent(b, 3) + broadcast(extent(b, 3), j)) * k * n;
          for (Index row = 0; row < m; ++row) {
            for (Index column = 0; column < n; ++column) {
              double total = 0;
              for (Index l = 0; l < k; ++l) {
                const Index left = at_a + (options.transpose_a ? l * m + row : row * k + l);
                const Index right = at_b + (options.transpose_b ? column * k + l : l * n + column);
                total += theta[static_cast<std::size_t>(left)] * theta[static_cast<std::size_t>(a.size() + right)];
              }
              expected.push_back(total);
            }
          }
        }
      }
      expect_near(found.value, expected, 1e-13, "value");
      if (k > 0) continue;
      // Nothing varies, whatever lies in the memory that holds the tangents.
      expect_near(found.slopes, std::vector<double>(found.slopes.size(), 0.0), 0, "slopes");
      expect_near(found.curvatures, std::vector<double>(found.curvatures.size(), 0.0), 0, "second-order terms");
    }
  }
}

TEST(MatMul, RefusesWhatDoesNotFit) {
  Builder build;
  const Node a = build.input("a", {2, 3, 4}), b = build.input("b", {3, 4, 5}), c = build.input("c", {4});
  EXPECT_THROW(matmul(a, b), ShapeError);  // 2 matrices against 3
  EXPECT_THROW(matmul(a, c), ShapeError);
  EXPECT_THROW(matmul(a, a), ShapeError);
  EXPECT_THROW(matmul(a, a, {.transpose_a = true, .transpose_b = true}), ShapeError);
  EXPECT_EQ(matmul(a, a, {.transpose_b = true}).shape(), (Shape{2, 3, 3}));
}

}  // namespace
}  // namespace slopewise
