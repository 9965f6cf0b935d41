#include "slopewise/tensor/cholesky.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/tensor/products/openblas_library.hpp"

namespace slopewise {
namespace {

// LAPACK reads matrices column by column: what is a lower half to us is an upper one to it, with A = Uᵀ U.
constexpr char kUpper = 'U';

std::size_t at(Index row, Index column, Index n) {
  return static_cast<std::size_t>(row * n + column);
}

// A pivot this far below its diagonal entry is rounding, not rank.
constexpr double kRankTolerance = 1e-12;

// Writes L to `lower`, which holds A, down to the first row without a positive pivot, and returns that row; n if there
// is none.
Index factorize(const std::vector<double>& a, Index n, std::vector<double>& lower) {
  lower = a;
  const auto size = static_cast<lapack_int>(n);
  const lapack_int stride = std::max<lapack_int>(size, 1);
  lapack_int info = 0;
  openblas_with_buffer().dpotrf(&kUpper, &size, lower.data(), &stride, &info, 1);
  const Index last = info > 0 ? info - 1 : n;
  for (Index i = 0; i < last; ++i) {
    const double pivot = lower[at(i, i, n)];
    if (!(pivot * pivot > kRankTolerance * std::abs(a[at(i, i, n)]))) return i;
  }
  for (Index i = 0; i < n; ++i)
    std::fill_n(lower.begin() + static_cast<std::ptrdiff_t>(at(i, i, n)) + 1, n - i - 1, 0.0);
  return last;
}

}  // namespace

std::vector<double> cholesky(const std::vector<double>& a, Index n) {
  std::vector<double> lower;
  if (const Index row = factorize(a, n, lower); row < n)
    throw NumericError(fmt::format("cholesky: the {0} × {0} matrix is not positive definite at row {1}", n, row));
  return lower;
}

std::vector<double> try_cholesky(const std::vector<double>& a, Index n) {
  std::vector<double> lower;
  if (factorize(a, n, lower) < n) lower.clear();
  return lower;
}

std::vector<double> cholesky_solve(const std::vector<double>& lower, std::vector<double> b) {
  const auto size = static_cast<lapack_int>(b.size());
  const lapack_int one = 1, stride = std::max<lapack_int>(size, 1);
  lapack_int info = 0;
  openblas_with_buffer().dpotrs(&kUpper, &size, &one, lower.data(), &stride, b.data(), &stride, &info, 1);
  return b;
}

std::vector<double> invert_lower(const std::vector<double>& lower, Index n) {
  std::vector<double> inverse = lower;
  const char pivots = 'N';  // any: they need not be 1
  const auto size = static_cast<lapack_int>(n);
  const lapack_int stride = std::max<lapack_int>(size, 1);
  lapack_int info = 0;
  openblas_with_buffer().dtrtri(&kUpper, &pivots, &size, inverse.data(), &stride, &info, 1, 1);
  return inverse;
}

}  // namespace slopewise
