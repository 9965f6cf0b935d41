#include "slopewise/tensor/parameters.hpp"

#include <gtest/gtest.h>

#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kRows = 20, kColumns = 6, kOffset = 10;
constexpr Index kSize = kOffset + kRows * kColumns + 5;

using Numbers = std::vector<float>;

Numbers numbers(std::span<const float> values) {
  return {values.begin(), values.end()};
}

Parameters<float> example() {
  return Parameters<float>(random_vector<float>(kSize, 1));
}

Numbers matrix_of(const WeightProduct& matrix) {
  Numbers out(static_cast<std::size_t>(matrix.rows() * matrix.columns()));
  matrix.unpack(out.data());
  return out;
}

// θ with every entry of the matrix one larger.
Numbers one_more(Numbers values) {
  for (Index i = kOffset; i < kOffset + kRows * kColumns; ++i) values[static_cast<std::size_t>(i)] += 1;
  return values;
}
void add_one(WeightProduct& matrix) {
  const Numbers ones(kRows * kColumns, 1.0f);
  matrix.add({ones.data(), 1}, [&](Index, Index first, Index, float*) { return ones.data() + first * kColumns; });
}

TEST(Parameters, PackedWeightsAreMadeOfTheFlatEntries) {
  Parameters<float> theta = example();
  const Numbers before = numbers(theta.values());
  const auto expected = [&] {
    return Numbers(theta.values().begin() + kOffset, theta.values().begin() + kOffset + kRows * kColumns);
  };
  EXPECT_EQ(matrix_of(theta.packed(kOffset, kRows, kColumns)), expected());
  theta.edit()[kOffset + 3] = 7;
  EXPECT_EQ(matrix_of(theta.packed(kOffset, kRows, kColumns)), expected());
  theta.edit(0, kOffset)[2] = 9;  // elsewhere: the packed matrix stays
  EXPECT_NE(theta.edit_packed(kOffset, kRows, kColumns), nullptr);
  EXPECT_EQ(theta.values()[2], 9);
  EXPECT_EQ(theta.values()[kOffset + 3], 7);
  EXPECT_EQ(theta.values()[kSize - 1], before.back());
}

TEST(Parameters, ChangeOfTheWeightProductIsSeenInTheFlatVector) {
  Parameters<float> theta = example();
  const Numbers before = numbers(theta.values());
  EXPECT_EQ(theta.edit_packed(kOffset, kRows, kColumns), nullptr);  // nothing packed yet
  theta.packed(kOffset, kRows, kColumns);
  add_one(*theta.edit_packed(kOffset, kRows, kColumns));
  EXPECT_EQ(numbers(theta.values(0, kOffset)), Numbers(before.begin(), before.begin() + kOffset));
  const Parameters<float> copy = theta;
  EXPECT_EQ(numbers(copy.values()), one_more(before));
  EXPECT_EQ(numbers(theta.values()), one_more(before));
  add_one(*theta.edit_packed(kOffset, kRows, kColumns));
  EXPECT_EQ(numbers(theta.edit()), one_more(one_more(before)));
  EXPECT_EQ(theta.edit_packed(kOffset, kRows, kColumns), nullptr);  // edit() made it stale
  Parameters<float> other = example();
  other.packed(kOffset, kRows, kColumns);
  other = theta;
  EXPECT_EQ(other.edit_packed(kOffset, kRows, kColumns), nullptr);
  EXPECT_EQ(numbers(other.values()), numbers(theta.values()));
}

// The same entries as a matrix of another shape, changed through the first.
TEST(Parameters, MatricesThatOverlapFollowEachOther) {
  Parameters<float> theta = example();
  const Numbers before = numbers(theta.values());
  theta.packed(kOffset, kRows, kColumns);
  theta.packed(kOffset, kColumns * 4, kRows / 4);
  add_one(*theta.edit_packed(kOffset, kRows, kColumns));
  EXPECT_EQ(theta.edit_packed(kOffset, kColumns * 4, kRows / 4), nullptr);
  const Numbers after = one_more(before);
  EXPECT_EQ(matrix_of(theta.packed(kOffset, kColumns * 4, kRows / 4)),
            Numbers(after.begin() + kOffset, after.begin() + kOffset + kRows * kColumns));
  EXPECT_EQ(numbers(theta.values()), after);
}

// Entries in front of a packed matrix, the matrix, entries between, another matrix that is stale, and what follows.
TEST(Parameters, AddAndScaleChangePackedMatricesWhereTheyLie) {
  constexpr Index kSecond = kOffset + kRows * kColumns + 3;
  const Numbers before = random_vector<float>(kSecond + 90, 1), change = random_vector<float>(kSecond + 90, 2);
  const auto n = static_cast<Index>(before.size());
  const auto source = [&](std::vector<int>& asked) {
    return [&](Index first, Index count, float* scratch) {
      for (Index i = first; i < first + count; ++i) ++asked[static_cast<std::size_t>(i)];
      return std::copy_n(change.data() + first, count, scratch) - count;
    };
  };
  // From everything, from within the first matrix, and up to within the second.
  for (const auto& [first, end] : {std::pair<Index, Index>{0, n}, {kOffset + 5, n}, {0, kSecond + 7}}) {
    Parameters<float> theta(before);
    theta.packed(kOffset, kRows, kColumns);
    theta.packed(kSecond, 18, 5);
    theta.edit(kSecond, 1);
    std::vector<int> asked(before.size());
    theta.add(first, end - first, -0.5f, source(asked));
    Numbers expected = before;
    for (Index i = 0; i < n; ++i) {
      const bool within = i >= first && i < end;
      EXPECT_EQ(asked[static_cast<std::size_t>(i)], within ? 1 : 0) << i;
      if (within) expected[static_cast<std::size_t>(i)] += -0.5f * change[static_cast<std::size_t>(i)];
    }
    EXPECT_EQ(theta.edit_packed(kOffset, kRows, kColumns) != nullptr, first == 0) << "whether it is packed still";
    const Numbers found = numbers(theta.values());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_FLOAT_EQ(found[i], expected[i]) << i;
  }
  Parameters<float> theta(before);
  theta.packed(kOffset, kRows, kColumns);
  theta.scale(0.25f);
  EXPECT_NE(theta.edit_packed(kOffset, kRows, kColumns), nullptr);
  const Numbers found = numbers(theta.values());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], 0.25f * before[i]);
}

TEST(Parameters, CompactKeepsEveryNumber) {
  constexpr Index kLarge = 300;
  Parameters<float> theta(random_vector<float>(kOffset + kLarge * kLarge, 2));
  const Numbers before = numbers(theta.values());
  theta.compact(kOffset, kLarge, kLarge);
  EXPECT_EQ(matrix_of(theta.packed(kOffset, kLarge, kLarge)), Numbers(before.begin() + kOffset, before.end()));
  EXPECT_EQ(numbers(theta.values()), before);
}

}  // namespace
}  // namespace slopewise
