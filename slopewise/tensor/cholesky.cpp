#include "slopewise/tensor/cholesky.hpp"

#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

std::size_t at(Index row, Index column, Index n) {
  return static_cast<std::size_t>(row * n + column);
}

// A pivot this far below its diagonal entry is rounding, not rank.
constexpr double kRankTolerance = 1e-12;

// Writes L to `lower` (n, n) down to the first row without a positive pivot, and returns that row; n if there is none.
Index factorize(const std::vector<double>& a, Index n, std::vector<double>& lower) {
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j <= i; ++j) {
      double rest = a[at(i, j, n)];
      for (Index k = 0; k < j; ++k) rest -= lower[at(i, k, n)] * lower[at(j, k, n)];
      if (i != j) {
        lower[at(i, j, n)] = rest / lower[at(j, j, n)];
      } else if (rest > kRankTolerance * std::abs(a[at(i, i, n)])) {
        lower[at(i, i, n)] = std::sqrt(rest);
      } else {
        return i;
      }
    }
  }
  return n;
}

}  // namespace

std::vector<double> cholesky(const std::vector<double>& a, Index n) {
  std::vector<double> lower(a.size(), 0.0);
  if (const Index row = factorize(a, n, lower); row < n)
    throw NumericError(fmt::format("cholesky: the {0} × {0} matrix is not positive definite at row {1}", n, row));
  return lower;
}

std::vector<double> try_cholesky(const std::vector<double>& a, Index n) {
  std::vector<double> lower(a.size(), 0.0);
  if (factorize(a, n, lower) < n) lower.clear();
  return lower;
}

std::vector<double> cholesky_solve(const std::vector<double>& lower, std::vector<double> b) {
  const auto n = static_cast<Index>(b.size());
  for (Index i = 0; i < n; ++i) {
    double& x = b[static_cast<std::size_t>(i)];
    for (Index k = 0; k < i; ++k) x -= lower[at(i, k, n)] * b[static_cast<std::size_t>(k)];
    x /= lower[at(i, i, n)];
  }
  for (Index i = n; i-- > 0;) {
    double& x = b[static_cast<std::size_t>(i)];
    for (Index k = i + 1; k < n; ++k) x -= lower[at(k, i, n)] * b[static_cast<std::size_t>(k)];
    x /= lower[at(i, i, n)];
  }
  return b;
}

std::vector<double> invert_lower(const std::vector<double>& lower, Index n) {
  std::vector<double> inverse(lower.size(), 0.0);
  for (Index j = 0; j < n; ++j) {
    inverse[at(j, j, n)] = 1 / lower[at(j, j, n)];
    for (Index i = j + 1; i < n; ++i) {
      double total = 0;
      for (Index k = j; k < i; ++k) total += lower[at(i, k, n)] * inverse[at(k, j, n)];
      inverse[at(i, j, n)] = -total / lower[at(i, i, n)];
    }
  }
  return inverse;
}

}  // namespace slopewise
