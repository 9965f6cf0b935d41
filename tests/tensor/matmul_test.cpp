#include "slopewise/tensor/matmul.hpp"

#include <gtest/gtest.h>
#include <sys/time.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <limits>
#include <utility>

#include "slopewise/tensor/products/weight_product.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

// A (rows, columns) operand of random entries, with `gap` entries of NaN after each stored row: reading one shows.
template <class T>
class Matrix {
 public:
  Matrix(Index rows, Index columns, bool transposed, Index gap, std::uint64_t seed) : transposed_(transposed) {
    const Index stored_rows = transposed ? columns : rows;
    const Index stored_columns = transposed ? rows : columns;
    stride_ = stored_columns + gap;
    entries_ = random_vector<T>(stored_rows * stride_, seed);
    for (Index i = 0; i < stored_rows; ++i) {
      std::fill_n(entries_.begin() + i * stride_ + stored_columns, gap, std::numeric_limits<T>::quiet_NaN());
    }
  }
  T operator()(Index i, Index j) const {
    return entries_[static_cast<std::size_t>(transposed_ ? j * stride_ + i : i * stride_ + j)];
  }
  Operand<T> operand() const { return {entries_.data(), stride_, transposed_}; }

 private:
  bool transposed_;
  Index stride_;
  std::vector<T> entries_;
};

template <class T>
class Matmul : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Matmul, Types);

TYPED_TEST(Matmul, AgreesWithATripleLoop) {
  using T = TypeParam;
  constexpr Index kExtents[] = {0, 1, 2, 7, 16, 17, 33, 70};
  constexpr T kUntouched = 123;
  std::uint64_t seed = 0;
  for (const Index m : kExtents) {
    for (const Index n : kExtents) {
      for (const Index k : kExtents) {
        ++seed;
        const bool a_transposed = seed % 2 == 1;
        const bool b_transposed = seed / 2 % 2 == 1;
        const Index gap = static_cast<Index>(seed % 3);
        const T alpha = seed % 5 == 0 ? T(-0.75) : T(1);
        const T beta = seed % 4 == 0 ? T(0.5) : T(0);
        const Matrix<T> a(m, k, a_transposed, gap, 3 * seed);
        const Matrix<T> b(k, n, b_transposed, gap, 3 * seed + 1);
        const Index stride = n + gap + (n == 0);
        // What beta = 0 overwrites may be anything, NaN too.
        const std::vector<T> before =
            beta == 0 ? std::vector<T>(static_cast<std::size_t>(m * stride), std::numeric_limits<T>::quiet_NaN())
                      : random_vector<T>(m * stride, 3 * seed + 2);
        std::vector<T> c = before;
        for (Index i = 0; i < m; ++i) std::fill(c.begin() + i * stride + n, c.begin() + (i + 1) * stride, kUntouched);
        matmul<T>(m, n, k, alpha, a.operand(), b.operand(), beta, c.data(), stride);
        for (Index i = 0; i < m; ++i) {
          for (Index j = 0; j < stride; ++j) {
            const T found = c[static_cast<std::size_t>(i * stride + j)];
            if (j >= n) {
              ASSERT_EQ(found, kUntouched) << "behind row " << i << " of " << m << " × " << n << " × " << k;
              continue;
            }
            double expected = beta == 0 ? 0 : double{beta} * before[static_cast<std::size_t>(i * stride + j)];
            for (Index l = 0; l < k; ++l) expected += double{alpha} * a(i, l) * b(l, j);
            ASSERT_NEAR(found, expected, rounding<T>(k))
                << "entry " << i << ", " << j << " of " << m << " × " << n << " × " << k << ", case " << seed;
          }
        }
      }
    }
  }
}

TYPED_TEST(Matmul, EveryPairOfTransposesAtEveryWidth) {
  using T = TypeParam;
  for (const Index n : {3, 16, 40}) {
    for (const bool a_transposed : {false, true}) {
      for (const bool b_transposed : {false, true}) {
        const Matrix<T> a(9, 21, a_transposed, 2, 1);
        const Matrix<T> b(21, n, b_transposed, 1, 2);
        std::vector<T> c(static_cast<std::size_t>(9 * n));
        matmul<T>(9, n, 21, 1, a.operand(), b.operand(), 0, c.data(), n);
        for (Index i = 0; i < 9; ++i) {
          for (Index j = 0; j < n; ++j) {
            double expected = 0;
            for (Index l = 0; l < 21; ++l) expected += double{a(i, l)} * b(l, j);
            ASSERT_NEAR(c[static_cast<std::size_t>(i * n + j)], expected, rounding<T>(21))
                << a_transposed << b_transposed << " width " << n;
          }
        }
      }
    }
  }
}

// So large that another library makes them where one is quicker: every pair of transposes, gaps behind rows, factors.
TYPED_TEST(Matmul, LargeProductsToo) {
  using T = TypeParam;
  constexpr Index kM = 70, kN = 130, kK = 90;
  std::uint64_t seed = 0;
  for (const bool a_transposed : {false, true}) {
    for (const bool b_transposed : {false, true}) {
      for (const Index gap : {0, 3}) {
        for (const auto& [alpha, beta] : {std::pair{T(1), T(0)}, {T(1), T(1)}, {T(-0.75), T(0.5)}, {T(2), T(0)}}) {
          ++seed;
          const Matrix<T> a(kM, kK, a_transposed, gap, 3 * seed);
          const Matrix<T> b(kK, kN, b_transposed, gap, 3 * seed + 1);
          const Index stride = kN + gap;
          const std::vector<T> before =
              beta == 0 ? std::vector<T>(static_cast<std::size_t>(kM * stride), std::numeric_limits<T>::quiet_NaN())
                        : random_vector<T>(kM * stride, 3 * seed + 2);
          std::vector<T> c = before;
          matmul<T>(kM, kN, kK, alpha, a.operand(), b.operand(), beta, c.data(), stride);
          for (Index i = 0; i < kM; ++i) {
            for (Index j = 0; j < kN; ++j) {
              const auto at = static_cast<std::size_t>(i * stride + j);
              double expected = beta == 0 ? 0 : double{beta} * before[at];
              for (Index l = 0; l < kK; ++l) expected += double{alpha} * a(i, l) * b(l, j);
              ASSERT_NEAR(c[at], expected, 2 * rounding<T>(kK)) << "entry " << i << ", " << j << ", case " << seed;
            }
          }
        }
      }
    }
  }
}

// A signal may arrive at any moment of a product: 20,000 products under a timer that fires every 0.2 ms of them.
TEST(Matmul, SurvivesSignals) {
  static volatile std::sig_atomic_t arrived = 0;
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = [](int) { arrived = 1; };
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, &before);
  const itimerval often{{0, 200}, {0, 200}};
  const itimerval never{};
  setitimer(ITIMER_REAL, &often, nullptr);
  constexpr Index kRows = 64, kInner = 256;
  const std::vector<float> x(kRows * kInner, 1.0f), w(kRows * kInner, 1.0f);
  std::vector<float> y(kRows * kRows), packed_y(kRows * kRows);
  const auto packed = WeightProduct::make(kRows, kInner);
  packed->pack(w.data());
  int wrong = 0;
  for (int repetition = 0; repetition < 20000; ++repetition) {
    matmul<float>(kRows, kRows, kInner, 1, {x.data(), kInner}, {w.data(), kInner, true}, 0, y.data(), kRows);
    packed->multiply(kRows, x.data(), packed_y.data());
    const auto at = static_cast<std::size_t>(repetition) % y.size();
    wrong += y[at] != kInner || packed_y[at] != kInner;
  }
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(arrived, 1);
}

}  // namespace
}  // namespace slopewise
