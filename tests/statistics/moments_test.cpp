#include "slopewise/statistics/moments.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "tests/statistics/draws.hpp"

namespace slopewise {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Two passes in long double.
CentralMoments two_pass(std::span<const double> values) {
  long double mean = 0, m2 = 0, m3 = 0, m4 = 0;
  for (const double x : values) mean += x;
  mean /= static_cast<long double>(values.size());
  for (const double x : values) {
    const long double d = x - mean;
    m2 += d * d;
    m3 += d * d * d;
    m4 += d * d * d * d;
  }
  return {static_cast<std::int64_t>(values.size()), static_cast<double>(mean), static_cast<double>(m2),
          static_cast<double>(m3), static_cast<double>(m4)};
}

void expect_same(const CentralMoments& a, const CentralMoments& b, double tolerance = 1e-12) {
  EXPECT_EQ(a.count, b.count);
  EXPECT_NEAR(a.mean, b.mean, tolerance * (1 + std::abs(b.mean)));
  EXPECT_NEAR(a.m2, b.m2, tolerance * b.m2);
  EXPECT_NEAR(a.m3, b.m3, tolerance * std::pow(b.m2, 1.5));
  EXPECT_NEAR(a.m4, b.m4, tolerance * b.m4);
}

std::vector<double> skewed_sample(std::size_t count, std::uint64_t seed, double shift = 0) {
  RandomStream random(seed);
  std::vector<double> values(count);
  for (double& value : values) value = shift - std::log(1 - random.uniform());
  return values;
}

TEST(Moments, OfASmallSampleInClosedForm) {
  Moments moments;
  moments.add(std::vector<double>{2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_EQ(moments.count(), 8);
  EXPECT_DOUBLE_EQ(moments.mean(), 5);
  EXPECT_DOUBLE_EQ(moments.variance(), 32.0 / 7);
  EXPECT_DOUBLE_EQ(moments.standard_deviation(), std::sqrt(32.0 / 7));
  EXPECT_DOUBLE_EQ(moments.mean_error(), std::sqrt(32.0 / 7 / 8));
  EXPECT_NEAR(moments.skewness(), 42.0 / 64, 1e-14);    // M₃ = −27 − 3 + 8 + 64 = 42, (M₂/n)^1.5 = 8
  EXPECT_NEAR(moments.kurtosis(), 356.0 / 128, 1e-14);  // M₄ = 81 + 3 + 16 + 256 = 356, n (M₂/n)² = 128
  EXPECT_NEAR(moments.variance_error(), std::sqrt((44.5 - std::pow(32.0 / 7, 2) * 5 / 7) / 8), 1e-14);
  EXPECT_EQ(moments.min(), 2);
  EXPECT_EQ(moments.max(), 9);
}

TEST(Moments, AgreeWithTwoPasses) {
  const auto values = skewed_sample(10000, 1);
  Moments moments;
  moments.add(values);
  expect_same(moments.central(), two_pass(values));
}

TEST(Moments, SurviveALargeMean) {
  const auto values = skewed_sample(10000, 2, 1e9);
  Moments moments;
  moments.add(values);
  // The mean is known to ε · 1e9 ≈ 1e-7 only; raw power sums would lose every digit.
  expect_same(moments.central(), two_pass(values), 1e-6);
}

TEST(Moments, MergedEqualSequential) {
  const auto values = skewed_sample(1000, 3);
  for (const std::size_t cut : {0u, 1u, 2u, 300u, 999u, 1000u}) {
    Moments left, right;
    left.add(std::span(values).first(cut));
    right.add(std::span(values).subspan(cut));
    left.merge(right);
    expect_same(left.central(), two_pass(values));
    EXPECT_EQ(left.min(), std::ranges::min(values));
    EXPECT_EQ(left.max(), std::ranges::max(values));
  }
}

TEST(Moments, MergeWithThemselves) {
  auto values = skewed_sample(100, 4);
  Moments moments;
  moments.add(values);
  moments.merge(moments);
  values.insert(values.end(), values.begin(), values.end());
  expect_same(moments.central(), two_pass(values));
}

TEST(Moments, AreNaNWhereUndefined) {
  Moments moments;
  EXPECT_TRUE(std::isnan(moments.mean()) && std::isnan(moments.variance()) && std::isnan(moments.min()));
  moments.add(3.0);
  EXPECT_EQ(moments.mean(), 3.0);
  EXPECT_TRUE(std::isnan(moments.variance()) && std::isnan(moments.mean_error()));
  moments.add(3.0);
  EXPECT_EQ(moments.variance(), 0.0);
  EXPECT_TRUE(std::isnan(moments.skewness()) && std::isnan(moments.kurtosis()));
}

TEST(Moments, RefuseWhatIsNotFinite) {
  Moments moments;
  EXPECT_THROW(moments.add(kNaN), NumericError);
  EXPECT_THROW(moments.add(std::numeric_limits<double>::infinity()), NumericError);
  EXPECT_THROW(moments.add(std::vector<double>{1.0, kNaN}), NumericError);
  EXPECT_EQ(moments.count(), 1);
}

TEST(Moments, VarianceErrorOfTwoValuedLawIsReal) {
  Moments moments;
  for (int i = 0; i < 100000; ++i) moments.add(i % 2 == 0 ? 1.1 : -1.1);
  EXPECT_GE(moments.variance_error(), 0.0);
  EXPECT_LT(moments.variance_error(), 1e-4);
}

// The standard errors are those seen over 20,000 samples of an exponential law. The observed standard deviation of s²
// errs by about 2 %, of the mean by 0.5 %; the bounds are over six times that: false alarms below 1e-8.
TEST(Moments, StandardErrorsAreThoseSeen) {
  Moments means, variances, predicted_mean_variance, predicted_variance_variance;
  for (std::uint64_t trial = 0; trial < 20000; ++trial) {
    Moments moments;
    moments.add(skewed_sample(200, 100 + trial));
    means.add(moments.mean());
    variances.add(moments.variance());
    predicted_mean_variance.add(moments.mean_error() * moments.mean_error());
    predicted_variance_variance.add(moments.variance_error() * moments.variance_error());
  }
  EXPECT_NEAR(predicted_mean_variance.mean() / means.variance(), 1.0, 0.07);
  // The plug-in fourth moment of 200 exponential values is low by about 15 %, hence the wide bound.
  EXPECT_NEAR(predicted_variance_variance.mean() / variances.variance(), 1.0, 0.3);
}

class MomentsArrayOfOrder : public testing::TestWithParam<int> {
 protected:
  static constexpr std::size_t kSize = 40000;  // three blocks of work

  static std::vector<std::vector<double>> samples(int count) {
    RandomStream random(5);
    std::vector<std::vector<double>> result(count);
    for (auto& sample : result) {
      sample.resize(kSize);
      for (std::size_t i = 0; i < kSize; ++i) sample[i] = static_cast<double>(i % 7) - std::log(1 - random.uniform());
    }
    return result;
  }

  void expect_entries(const MomentsArray& moments, const std::vector<std::vector<double>>& all) const {
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{16383}, std::size_t{16384}, kSize - 1}) {
      std::vector<double> values;
      for (const auto& sample : all) values.push_back(sample[i]);
      CentralMoments expected = two_pass(values);
      CentralMoments found = moments.entry(i);
      EXPECT_EQ(std::isnan(found.m3), GetParam() < 3);
      EXPECT_EQ(std::isnan(found.m4), GetParam() < 4);
      if (GetParam() < 3) expected.m3 = found.m3 = 0;
      if (GetParam() < 4) expected.m4 = found.m4 = 0;
      expect_same(found, expected);
      EXPECT_EQ(moments.means()[i], found.mean);
    }
  }
};

TEST_P(MomentsArrayOfOrder, AgreesWithTwoPasses) {
  const auto all = samples(20);
  MomentsArray moments(kSize, GetParam());
  for (const auto& sample : all) moments.add(sample);
  EXPECT_EQ(moments.count(), 20);
  expect_entries(moments, all);
}

TEST_P(MomentsArrayOfOrder, MergedEqualsSequential) {
  const auto all = samples(20);
  for (const std::size_t cut : {0u, 1u, 13u, 20u}) {
    MomentsArray left(kSize, GetParam()), right(kSize, GetParam());
    for (std::size_t i = 0; i < all.size(); ++i) (i < cut ? left : right).add(all[i]);
    left.merge(right);
    expect_entries(left, all);
  }
}

INSTANTIATE_TEST_SUITE_P(Orders, MomentsArrayOfOrder, testing::Values(2, 3, 4));

TEST(MomentsArray, HasTheBitsOfOneThreadOnThree) {
  const int before = thread_count();
  const auto gather = [](int threads) {
    set_thread_count(threads);
    RandomStream random(6);
    MomentsArray moments(50000, 4);
    for (int i = 0; i < 3; ++i) moments.add(draw_normals(random, 50000));
    return moments;
  };
  const MomentsArray one = gather(1), three = gather(3);
  set_thread_count(before);
  for (std::size_t i = 0; i < one.size(); ++i) ASSERT_EQ(one.entry(i).m4, three.entry(i).m4);
}

TEST(MomentsArray, TakesFloats) {
  MomentsArray moments(2);
  moments.add(std::vector<float>{1.0f, 10.0f});
  moments.add(std::vector<float>{3.0f, 14.0f});
  EXPECT_EQ(moments.entry(0).mean, 2.0);
  EXPECT_EQ(moments.entry(1).variance(), 8.0);
  EXPECT_EQ(moments.total_variance(), 10.0);
}

TEST(MomentsArray, RefusesWhatDoesNotFit) {
  EXPECT_THROW(MomentsArray(3, 1), ArgumentError);
  EXPECT_THROW(MomentsArray(3, 5), ArgumentError);
  MomentsArray moments(3);
  EXPECT_TRUE(std::isnan(moments.total_variance()) && std::isnan(moments.entry(0).mean));
  EXPECT_THROW(moments.add(std::vector<double>(4)), ArgumentError);
  try {
    moments.add(std::vector<double>{1, kNaN, 3});
    FAIL() << "no NumericError";
  } catch (const NumericError& error) {
    EXPECT_STREQ(error.what(), "MomentsArray::add: sample entry 1: expected a finite number, found nan");
  }
  EXPECT_EQ(moments.count(), 0);
  EXPECT_THROW(moments.merge(MomentsArray(4)), ArgumentError);
  EXPECT_THROW(moments.merge(MomentsArray(3, 4)), ArgumentError);
}

}  // namespace
}  // namespace slopewise
