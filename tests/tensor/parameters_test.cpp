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
