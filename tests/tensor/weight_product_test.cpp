#include "slopewise/tensor/products/weight_product.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "slopewise/base/philox.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/products/convolution.hpp"
#include "slopewise/tensor/vector.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using Numbers = std::vector<float>;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Whole and partial panels, odd columns, padding of both widths, several pieces.
struct Size {
  Index rows, columns;
};
constexpr Size kSizes[] = {{17, 1}, {64, 7}, {100, 64}, {128, 33}, {130, 130}, {450, 40}};
// So large that rank-one changes wait before they go into the matrix.
constexpr Size kLarge{601, 907};

std::unique_ptr<WeightProduct> packed(Size size, const Numbers& weights) {
  std::unique_ptr<WeightProduct> matrix = WeightProduct::make(size.rows, size.columns);
  matrix->pack(weights.data());
  return matrix;
}
Numbers unpacked(const WeightProduct& matrix) {
  Numbers out(static_cast<std::size_t>(matrix.rows() * matrix.columns()), kNaN);
  matrix.unpack(out.data());
  return out;
}
std::vector<std::uint32_t> bits(const Numbers& numbers) {
  std::vector<std::uint32_t> bits;
  for (const float number : numbers) bits.push_back(std::bit_cast<std::uint32_t>(number));
  return bits;
}

// The rows of a matrix in memory.
RowSource rows_of(const Numbers& a, Index columns) {
  return [&a, columns](Index, Index first, Index, float*) { return a.data() + first * columns; };
}

// Equal but for the rounding of `terms` products, which compilers may fuse with their sums.
void expect_near(const Numbers& found, const Numbers& expected, Index terms) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], rounding<float>(terms)) << i;
}

// Whether y = x Wᵀ, by a triple loop, within the rounding of float sums.
void expect_product(const Numbers& y, const Numbers& x, const Numbers& weights, Size size) {
  const Index count = static_cast<Index>(x.size()) / size.columns;
  for (Index b = 0; b < count; ++b) {
    for (Index i = 0; i < size.rows; ++i) {
      double expected = 0;
      for (Index j = 0; j < size.columns; ++j) {
        expected += double{x[static_cast<std::size_t>(b * size.columns + j)]} *
                    weights[static_cast<std::size_t>(i * size.columns + j)];
      }
      ASSERT_NEAR(y[static_cast<std::size_t>(b * size.rows + i)], expected, rounding<float>(size.columns))
          << size.rows << " × " << size.columns << ", row " << b << " of " << count;
    }
  }
}

TEST(WeightProduct, UnpackGivesBackWhatWasPackedBitForBit) {
  for (const Size size : kSizes) {
    Numbers weights = random_vector<float>(size.rows * size.columns, 1);
    weights.front() = -0.0f;
    weights.back() = kNaN;
    EXPECT_EQ(bits(unpacked(*packed(size, weights))), bits(weights)) << size.rows << " × " << size.columns;
  }
}

TEST(WeightProduct, MultiplyAgreesWithATripleLoop) {
  for (const Size size : kSizes) {
    const auto matrix = WeightProduct::make(size.rows, size.columns);
    // Packed twice: the second weights are those that count.
    for (const std::uint64_t seed : {1, 2}) {
      const Numbers weights = random_vector<float>(size.rows * size.columns, seed);
      matrix->pack(weights.data());
      for (const Index count : {0, 1, 3, 16, 65}) {
        const Numbers x = random_vector<float>(count * size.columns, 7);
        Numbers y(static_cast<std::size_t>(count * size.rows), kNaN);
        matrix->multiply(count, x.data(), y.data());
        expect_product(y, x, weights, size);
      }
    }
  }
}

// Rows of y beyond one panel, beside a panel that is not full, and more than go back at once.
constexpr Index kCounts[] = {1, 5, 64, 65, 300};

TEST(WeightProduct, MultiplyTransposedAgreesWithATripleLoop) {
  for (const Size size : kSizes) {
    const Numbers weights = random_vector<float>(size.rows * size.columns, 1);
    const auto matrix = packed(size, weights);
    for (const Index count : kCounts) {
      for (const float beta : {0.0f, 1.0f, 0.5f}) {
        const Numbers y = random_vector<float>(count * size.rows, 2);
        Numbers x = beta == 0 ? Numbers(static_cast<std::size_t>(count * size.columns), kNaN)
                              : random_vector<float>(count * size.columns, 3);
        const Numbers before = x;
        matrix->multiply_transposed(count, y.data(), beta, x.data());
        for (Index b = 0; b<count; b += count> 64 ? 7 : 1) {
          for (Index j = 0; j < size.columns; ++j) {
            const auto at = static_cast<std::size_t>(b * size.columns + j);
            double expected = beta == 0 ? 0 : double{beta} * before[at];
            for (Index i = 0; i < size.rows; ++i) {
              expected += double{y[static_cast<std::size_t>(b * size.rows + i)]} *
                          weights[static_cast<std::size_t>(i * size.columns + j)];
            }
            ASSERT_NEAR(x[at], expected, rounding<float>(size.rows))
                << size.rows << " × " << size.columns << ", " << count;
          }
        }
      }
    }
  }
}

TEST(WeightProduct, RankOneChangesAreThoseOfTheFlatMatrix) {
  for (const Size size : {kSizes[0], kSizes[2], kSizes[4], kSizes[5], kLarge}) {
    for (const Index count : {1, 3}) {
      const Numbers weights = random_vector<float>(size.rows * size.columns, 1);
      const Numbers left = random_vector<float>(count * size.rows, 2);
      const Numbers right = random_vector<float>(count * size.columns, 3);
      Numbers flat = weights;
      for (Index i = 0; i < size.rows; ++i) {
        for (Index k = 0; k < count; ++k) {
          axpy(left[static_cast<std::size_t>(k * size.rows + i)], right.data() + k * size.columns,
               flat.data() + i * size.columns, size.columns);
        }
      }
      const auto matrix = packed(size, weights);
      matrix->let_changes_wait();
      const ThreadScope two(2);
      matrix->add_rank_one(count, {.left = left.data(), .right = right.data()});
      expect_near(unpacked(*matrix), flat, count);
    }
  }
}

TEST(WeightProduct, DenseChangesAreThoseOfTheFlatMatrix) {
  for (const Size size : kSizes) {
    const Numbers weights = random_vector<float>(size.rows * size.columns, 1);
    const Numbers change = random_vector<float>(size.rows * size.columns, 2);
    Numbers flat = weights;
    axpy(-0.3f, change.data(), flat.data(), static_cast<Index>(flat.size()));
    const auto matrix = packed(size, weights);
    const float factor = -0.3f;
    matrix->add({&factor, 1}, rows_of(change, size.columns));
    expect_near(unpacked(*matrix), flat, 1);
  }
}

// Changes that wait are scaled as well, and so is the copy in half the width.
TEST(WeightProduct, ScaleIsThatOfTheFlatMatrix) {
  for (const Size size : {Size{17, 9}, Size{130, 70}, Size{1024, 520}}) {
    const Numbers weights = random_vector<float>(size.rows * size.columns, 1);
    const Numbers left = random_vector<float>(size.rows, 2), right = random_vector<float>(size.columns, 3);
    for (const bool waiting : {false, true}) {
      const auto matrix = packed(size, weights);
      if (waiting) matrix->let_changes_wait();
      if (has_bfloat16()) matrix->keep_bfloat16();
      matrix->add_rank_one(1, {.left = left.data(), .right = right.data()});
      Numbers expected = unpacked(*matrix);
      for (float& entry : expected) entry *= -0.5f;
      matrix->scale(-0.5f);
      EXPECT_EQ(unpacked(*matrix), expected);
      // Halving changes no rounding: x through the half copy is the same multiple.
      if (!has_bfloat16() || waiting) continue;
      const auto other = packed(size, expected);
      other->keep_bfloat16();
      std::vector<Bfloat16> x(static_cast<std::size_t>(size.columns));
      to_bfloat16(right.data(), x.data(), size.columns);
      Numbers found(static_cast<std::size_t>(size.rows)), same(found.size());
      matrix->multiply_bfloat16(1, x.data(), found.data());
      other->multiply_bfloat16(1, x.data(), same.data());
      EXPECT_EQ(found, same);
    }
  }
}

TEST(WeightProduct, AddProductAddsTheGradientOfALayer) {
  for (const Size size : kSizes) {
    for (const Index count : kCounts) {
      const Numbers weights = random_vector<float>(size.rows * size.columns, 1);
      const Numbers y = random_vector<float>(count * size.rows, 2);
      const Numbers x = random_vector<float>(count * size.columns, 3);
      const auto matrix = packed(size, weights);
      matrix->add_product(count, y.data(), x.data());
      const Numbers found = unpacked(*matrix);
      for (Index i = 0; i<size.rows; i += count> 64 ? 7 : 1) {
        for (Index j = 0; j < size.columns; ++j) {
          const auto at = static_cast<std::size_t>(i * size.columns + j);
          double expected = weights[at];
          for (Index b = 0; b < count; ++b) {
            expected += double{y[static_cast<std::size_t>(b * size.rows + i)]} *
                        x[static_cast<std::size_t>(b * size.columns + j)];
          }
          ASSERT_NEAR(found[at], expected, rounding<float>(count))
              << size.rows << " × " << size.columns << ", " << count;
        }
      }
    }
  }
}

TEST(Bfloat16, RoundsToTheNearestTiesToEven) {
  const auto rounded = [](float from) {
    Bfloat16 to = 0;
    to_bfloat16(&from, &to, 1);
    return std::bit_cast<float>(static_cast<std::uint32_t>(to) << 16);
  };
  const float step = std::ldexp(1.0f, -7);  // between neighbours in [1, 2)
  EXPECT_EQ(rounded(1.0f), 1.0f);
  EXPECT_EQ(rounded(1 + step / 2), 1.0f);
  EXPECT_EQ(rounded(1 + 3 * step / 2), 1 + 2 * step);
  EXPECT_EQ(rounded(1 + 0.51f * step), 1 + step);
  EXPECT_EQ(rounded(-1 - 0.51f * step), -1 - step);
  EXPECT_EQ(rounded(kInfinity), kInfinity);
  EXPECT_EQ(rounded(std::numeric_limits<float>::max()), kInfinity);
  EXPECT_TRUE(std::isnan(rounded(kNaN)));
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(0x7f800001u))));
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(0xffffffffu))));
}

Numbers numbers_of(const std::vector<Bfloat16>& halves) {
  Numbers numbers;
  for (const Bfloat16 half : halves) numbers.push_back(from_bfloat16(half));
  return numbers;
}

// The factors are rounded, the products and sums are not: within float's rounding of the product of rounded factors.
TEST(Bfloat16, ProductIsExactInTheRoundedFactors) {
  if (!has_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  for (const Size size : kSizes) {
    const Numbers weights = random_vector<float>(size.rows * size.columns, 1);
    const auto matrix = packed(size, weights);
    matrix->keep_bfloat16();
    constexpr Index kCount = 6;
    const Numbers x = random_vector<float>(kCount * size.columns, 2);
    std::vector<Bfloat16> rounded(x.size()), rounded_weights(weights.size());
    to_bfloat16(x.data(), rounded.data(), static_cast<Index>(x.size()));
    to_bfloat16(weights.data(), rounded_weights.data(), static_cast<Index>(weights.size()));
    Numbers y(static_cast<std::size_t>(kCount * size.rows), kNaN);
    matrix->multiply_bfloat16(kCount, rounded.data(), y.data());
    expect_product(y, numbers_of(rounded), numbers_of(rounded_weights), size);
  }
}

// After each kind of change the product in bfloat16 is that of a matrix packed from the changed weights.
TEST(Bfloat16, CopyFollowsEveryChange) {
  if (!has_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  for (const Size size : kSizes) {
    const Numbers factors = random_vector<float>(size.rows * size.columns, 2);
    const auto matrix = packed(size, random_vector<float>(size.rows * size.columns, 1));
    matrix->keep_bfloat16();
    const float half = 0.5f;
    const std::function<void()> changes[] = {
        [&] { matrix->add_rank_one(1, {.left = factors.data(), .right = factors.data()}); },
        [&] { matrix->add_product(1, factors.data(), factors.data()); },
        [&] {
          matrix->add({&half, 1}, rows_of(factors, size.columns));
        },
    };
    std::vector<Bfloat16> x(static_cast<std::size_t>(size.columns));
    to_bfloat16(factors.data(), x.data(), size.columns);
    Numbers last;
    for (const auto& change : changes) {
      change();
      const auto fresh = packed(size, unpacked(*matrix));
      fresh->keep_bfloat16();
      Numbers found(static_cast<std::size_t>(size.rows)), expected(static_cast<std::size_t>(size.rows));
      matrix->multiply_bfloat16(1, x.data(), found.data());
      fresh->multiply_bfloat16(1, x.data(), expected.data());
      EXPECT_EQ(found, expected) << size.rows << " × " << size.columns;
      EXPECT_NE(found, last);
      last = found;
    }
  }
}

TEST(WeightProduct, RowsUsedOnceMultiplyLikeAnyMatrix) {
  for (const Index height : {1, 17, 64}) {
    for (const Index columns : {1, 16, 45}) {
      for (const bool accumulate : {false, true}) {
        constexpr Index kCount = 7, kStride = 70;
        const Numbers a = random_vector<float>(height * columns, 1);
        const Numbers x = random_vector<float>(kCount * columns, 2);
        Numbers y = random_vector<float>(kCount * kStride, 3);
        Numbers expected = y;
        matmul<float>(kCount, height, columns, -0.7f, {x.data(), columns}, {a.data(), columns, true},
                      accumulate ? 1.0f : 0.0f, expected.data(), kStride);
        Numbers scratch(static_cast<std::size_t>(scratch_used_once(kCount, columns)), kNaN);
        multiply_used_once(kCount, height, columns, -0.7f, x.data(), rows_of(a, columns), y.data(), kStride, accumulate,
                           scratch.data());
        expect_near(y, expected, 2 * columns);
      }
    }
  }
}

// Contract: the bits of a product do not depend on how many threads share it, nor on whether it is made within a loop
// that they share. Extents over the whole range that networks have.
TEST(WeightProduct, BitsDependOnNoNumberOfThreads) {
  RandomStream random(1);
  const auto below = [&](Index most) {
    return 1 + static_cast<Index>(std::pow(random.uniform(0, 1), 2) * static_cast<double>(most));
  };
  for (int trial = 0; trial < 25; ++trial) {
    // The first is the one that AMX once summed in another order for other numbers of panels.
    const Size size = trial == 0 ? Size{354, 1310} : Size{16 + below(1184), below(3000)};
    const Index count = trial == 0 ? 433 : below(1200);
    const Numbers weights = random_vector<float>(size.rows * size.columns, 1);
    const auto matrix = packed(size, weights);
    const Numbers x = random_vector<float>(count * size.columns, 2);
    std::vector<Bfloat16> rounded(x.size());
    to_bfloat16(x.data(), rounded.data(), static_cast<Index>(x.size()));
    if (has_bfloat16()) matrix->keep_bfloat16();
    const auto expect_same = [&](const char* precision, auto multiply) {
      const auto made_by = [&](int threads, bool within) {
        const ThreadScope with(threads);
        Numbers y(static_cast<std::size_t>(count * size.rows), kNaN);
        parallel_for(within ? 2 : 1, [&](Index call) {
          Numbers other(call > 0 ? y.size() : 0);
          multiply(call > 0 ? other.data() : y.data());
        });
        return y;
      };
      const Numbers one = made_by(1, false);
      ASSERT_EQ(made_by(2, false), one) << precision << ", 2 threads";
      ASSERT_EQ(made_by(3, false), one) << precision << ", 3 threads";
      ASSERT_EQ(made_by(2, true), one) << precision << ", within a loop";
    };
    SCOPED_TRACE(testing::Message() << size.rows << " × " << size.columns << ", " << count << " rows");
    expect_same("float32", [&](float* y) { matrix->multiply(count, x.data(), y); });
    // All that changes the matrix, some of it waiting, and the way back.
    const auto changed_by = [&](int threads) {
      const ThreadScope with(threads);
      const auto changed = packed(size, weights);
      changed->let_changes_wait();
      const Numbers y = random_vector<float>(count * size.rows, 3);
      const float factor = 0.25f;
      changed->add_product(count, y.data(), x.data());
      changed->add({&factor, 1}, rows_of(weights, size.columns));
      changed->add_rank_one(1, {.left = y.data(), .right = x.data()});
      Numbers back(x.size()), out(y.size()), all = unpacked(*changed);
      changed->multiply_transposed(count, y.data(), 0, back.data());
      changed->multiply(count, x.data(), out.data());
      for (const Numbers& part : {back, out}) all.insert(all.end(), part.begin(), part.end());
      return all;
    };
    ASSERT_EQ(changed_by(2), changed_by(1));
    if (has_bfloat16()) expect_same("bfloat16", [&](float* y) { matrix->multiply_bfloat16(count, rounded.data(), y); });
  }
}

// Changes of rank one that wait as factors are in every product and in unpack() at once, and go into the matrix after a
// while: the same numbers whenever one looks.
TEST(WeightProduct, ChangesThatWaitAreThere) {
  constexpr Index kCount = 5, kSteps = 20;
  Numbers flat = random_vector<float>(kLarge.rows * kLarge.columns, 1);
  const auto matrix = packed(kLarge, flat);
  matrix->let_changes_wait();
  if (has_bfloat16()) matrix->keep_bfloat16();
  const Numbers x = random_vector<float>(kCount * kLarge.columns, 2), y = random_vector<float>(kCount * kLarge.rows, 3);
  std::vector<Bfloat16> rounded(x.size());
  to_bfloat16(x.data(), rounded.data(), static_cast<Index>(x.size()));
  for (Index step = 0; step < kSteps; ++step) {
    const Index factors = 1 + step % 3 * 4;  // 1, 5, 9: alone, beside others, too many to wait
    const auto seed = static_cast<std::uint64_t>(step);
    const Numbers left = random_vector<float>(factors * kLarge.rows, 10 + seed, -0.1, 0.1);
    const Numbers right = random_vector<float>(factors * kLarge.columns, 50 + seed, -0.1, 0.1);
    matrix->add_rank_one(factors, {.left = left.data(), .right = right.data()});
    for (Index k = 0; k < factors; ++k) {
      for (Index i = 0; i < kLarge.rows; ++i) {
        axpy(left[static_cast<std::size_t>(k * kLarge.rows + i)], right.data() + k * kLarge.columns,
             flat.data() + i * kLarge.columns, kLarge.columns);
      }
    }
    SCOPED_TRACE(testing::Message() << "step " << step);
    expect_near(unpacked(*matrix), flat, 10 * kSteps);

    Numbers found(static_cast<std::size_t>(kCount * kLarge.rows), kNaN);
    matrix->multiply(kCount, x.data(), found.data());
    expect_product(found, x, flat, kLarge);
    Numbers back(static_cast<std::size_t>(kCount * kLarge.columns), kNaN), expected = back;
    matrix->multiply_transposed(kCount, y.data(), 0, back.data());
    matmul<float>(kCount, kLarge.columns, kLarge.rows, 1, {y.data(), kLarge.rows}, {flat.data(), kLarge.columns}, 0,
                  expected.data(), kLarge.columns);
    expect_near(back, expected, 4 * kLarge.rows);
    if (!has_bfloat16()) continue;
    // W's own share is rounded, so within 2⁻⁸ of each factor; a change that is lost misses by far more.
    Numbers low(found.size(), kNaN);
    matrix->multiply_bfloat16(kCount, rounded.data(), low.data());
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < low.size(); ++i) {
      error += std::pow(low[i] - found[i], 2);
      norm += std::pow(found[i], 2);
    }
    EXPECT_LT(error, std::pow(2, -14) * norm);
  }
}

// Products made at the same time on several threads, some of them of a size seen for the first time, give the bits of
// one thread.
TEST(WeightProduct, SameBitsFromSeveralThreadsAtOnce) {
  constexpr Size kSize{80, 96};
  constexpr Index kCalls = 24;
  const Numbers weights = random_vector<float>(kSize.rows * kSize.columns, 1);
  const Numbers x = random_vector<float>(64 * kSize.columns, 2);
  const auto run = [&](int threads) {
    const ThreadScope with(threads);
    const auto matrix = packed(kSize, weights);
    std::vector<Numbers> found(kCalls);
    parallel_for(kCalls, [&](Index call) {
      const Index count = 1 + call / 2 % 6 * 11;
      Numbers y(static_cast<std::size_t>(2 * count * kSize.rows));
      matrix->multiply(count, x.data(), y.data());
      matmul<float>(count, kSize.rows, kSize.columns, 1, {x.data(), kSize.columns},
                    {weights.data(), kSize.columns, true}, 0, y.data() + count * kSize.rows, kSize.rows);
      found[static_cast<std::size_t>(call)] = std::move(y);
    });
    return found;
  };
  const auto one = run(1);
  EXPECT_EQ(one, run(2));
  EXPECT_EQ(one, run(3));
}

TEST(WeightProduct, FiltersAreItsRowsInBlocks) {
  for (const Size size : {Size{17, 27}, Size{64, 144}, Size{130, 48}, Size{200, 9}, kLarge}) {
    const auto count = static_cast<std::size_t>(size.rows * size.columns);
    const auto matrix = packed(size, random_vector<float>(static_cast<Index>(count), 1));
    matrix->let_changes_wait();  // which the largest does
    const Numbers left = random_vector<float>(size.rows, 2), right = random_vector<float>(size.columns, 3);
    matrix->add_rank_one(1, {.left = left.data(), .right = right.data()});
    const Numbers now = unpacked(*matrix);
    for (const Index block : {16, 32, 48, 64}) {
      const auto entries = static_cast<std::size_t>(filter_entries(size.rows, size.columns, block));
      Numbers expected(entries, kNaN), scratch(entries, kNaN);
      arrange_filters(now.data(), size.rows, size.columns, block, expected.data());
      const float* const found = matrix->filters(block, scratch.data());
      expect_near(Numbers(found, found + entries), expected, 2);
    }
  }
}

TEST(WeightProduct, BytesCountPadding) {
  EXPECT_EQ(WeightProduct::bytes(100, 50), 128 * 64 * 4);
  EXPECT_EQ(WeightProduct::bytes(100, 50, true), 128 * 64 * 4 + 128 * 64 * 2);
  EXPECT_FALSE(WeightProduct::suits(16, 50));
  EXPECT_FALSE(WeightProduct::suits(100, 0));
  EXPECT_TRUE(WeightProduct::suits(17, 1));
}

}  // namespace
}  // namespace slopewise
