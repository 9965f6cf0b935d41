#include "slopewise/tensor/cholesky.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "slopewise/base/error.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using Vector = std::vector<double>;

// A B, both (n, n).
Vector product(const Vector& a, const Vector& b, Index n) {
  Vector c(a.size(), 0.0);
  for (Index i = 0; i < n; ++i) {
    for (Index k = 0; k < n; ++k) {
      for (Index j = 0; j < n; ++j)
        c[static_cast<std::size_t>(i * n + j)] +=
            a[static_cast<std::size_t>(i * n + k)] * b[static_cast<std::size_t>(k * n + j)];
    }
  }
  return c;
}

Vector transpose(const Vector& a, Index n) {
  Vector t(a.size());
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < n; ++j) t[static_cast<std::size_t>(j * n + i)] = a[static_cast<std::size_t>(i * n + j)];
  }
  return t;
}

// B Bᵀ + 1.
Vector positive_definite(Index n, std::uint64_t seed) {
  const Vector b = random_vector<double>(n * n, seed);
  Vector a = product(b, transpose(b, n), n);
  for (Index i = 0; i < n; ++i) a[static_cast<std::size_t>(i * n + i)] += 1;
  return a;
}

TEST(Cholesky, TheFactorTimesItsTransposeIsTheMatrix) {
  for (const Index n : {0, 1, 2, 5, 16, 33}) {
    const Vector a = positive_definite(n, 3);
    Vector lower_half = a;
    for (Index i = 0; i < n; ++i) {
      for (Index j = i + 1; j < n; ++j)
        lower_half[static_cast<std::size_t>(i * n + j)] = std::numeric_limits<double>::quiet_NaN();
    }
    const Vector lower = cholesky(lower_half, n);
    EXPECT_THAT(product(lower, transpose(lower, n), n), testing::Pointwise(testing::DoubleNear(1e-12), a));
    for (Index i = 0; i < n; ++i) {
      EXPECT_GT(lower[static_cast<std::size_t>(i * n + i)], 0);
      for (Index j = i + 1; j < n; ++j) EXPECT_EQ(lower[static_cast<std::size_t>(i * n + j)], 0);
    }
  }
}

TEST(Cholesky, SolveFindsWhatWasMultiplied) {
  for (const Index n : {1, 2, 5, 16, 33}) {
    const Vector a = positive_definite(n, 5);
    const Vector x = random_vector<double>(n, 6);
    Vector b(x.size(), 0.0);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j)
        b[static_cast<std::size_t>(i)] += a[static_cast<std::size_t>(i * n + j)] * x[static_cast<std::size_t>(j)];
    }
    EXPECT_THAT(cholesky_solve(cholesky(a, n), b), testing::Pointwise(testing::DoubleNear(1e-12), x));
  }
}

TEST(Cholesky, TheInverseOfTheFactor) {
  for (const Index n : {1, 2, 5, 16, 33}) {
    const Vector lower = cholesky(positive_definite(n, 7), n);
    const Vector inverse = invert_lower(lower, n);
    Vector identity(lower.size(), 0.0);
    for (Index i = 0; i < n; ++i) identity[static_cast<std::size_t>(i * n + i)] = 1;
    EXPECT_THAT(product(lower, inverse, n), testing::Pointwise(testing::DoubleNear(1e-12), identity));
  }
}

TEST(Cholesky, WhatIsNotPositiveDefiniteIsRefused) {
  const auto throws_at = [](const std::string& row) {
    return testing::ThrowsMessage<NumericError>(testing::HasSubstr(row));
  };
  EXPECT_THAT([] { cholesky({1, 0, 0, -1}, 2); }, throws_at("2 × 2 matrix is not positive definite at row 1"));
  EXPECT_THAT([] { cholesky({0}, 1); }, throws_at("row 0"));
  EXPECT_THAT([] { cholesky({std::numeric_limits<double>::quiet_NaN()}, 1); }, throws_at("row 0"));
  // The Gram matrix of three vectors in a plane, singular but for rounding.
  const Vector u = random_vector<double>(40, 1);
  const Vector v = random_vector<double>(40, 2);
  Vector w(u.size());
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = 0.3 * u[i] - 1.7 * v[i];
  Vector gram;
  const std::vector<Vector> vectors{u, v, w};
  for (const Vector& a : vectors) {
    for (const Vector& b : vectors) gram.push_back(inner_product<double>(a, b));
  }
  EXPECT_THAT([&] { cholesky(gram, 3); }, throws_at("row 2"));
  for (const Vector& a : {Vector{-1}, Vector{0}}) EXPECT_TRUE(try_cholesky(a, 1).empty());
  EXPECT_TRUE(try_cholesky(gram, 3).empty());
  EXPECT_EQ(try_cholesky(positive_definite(5, 5), 5), cholesky(positive_definite(5, 5), 5));
}

}  // namespace
}  // namespace slopewise
