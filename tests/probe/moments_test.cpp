// Every law held against what it promises: E[v vᵀ] = I, and the mean and variance of g = (1/K) Σ s_k v_k, s_k = ∇·v_k.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "slopewise/probe/laws.hpp"
#include "slopewise/statistics/distributions.hpp"
#include "slopewise/statistics/fit.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/probe/layouts.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

// Signs alternate, and a few entries hold most of the norm, so that an error in the factor of ∇_i² shows.
std::vector<double> uneven_gradient(Index n) {
  std::vector<double> gradient = random_vector<double>(n, 21, -0.5, 0.5);
  for (std::size_t i = 2; i < gradient.size(); i += 7) gradient[i] = i % 2 == 0 ? 1.5 : -1.2;
  return gradient;
}

struct Case {
  std::string law;
  Index count;
};

class LawMoments : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Registry, LawMoments, testing::ValuesIn([] {
                           std::vector<Case> cases;
                           for (const std::string& law : probe_names()) {
                             for (const Index count : {1, 3}) cases.push_back({law, count});
                           }
                           return cases;
                         }()),
                         [](const auto& law) {
                           std::string name = law.param.law + "_" + std::to_string(law.param.count);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// 463 comparisons for each of 18 cases, each at 8e-11: false alarm rate 6e-7 altogether, as far as means of 125,000
// draws and more are normal.
TEST_P(LawMoments, MomentsAreThosePredicted) {
  constexpr std::uint32_t kDraws = 500'000;
  constexpr std::uint32_t kDrawsAPair = 4;  // of which one goes into E[v vᵀ], whose products cost most
  constexpr double kRounding = 1e-6;        // of tangents held in float32
  const auto& [law, count] = GetParam();
  const ParameterLayout layout = small_layout();
  const auto n = static_cast<std::size_t>(layout.size);
  const std::vector<double> gradient = uneven_gradient(layout.size);
  const GradientView view(layout, gradient);
  const auto probe = make_probe(law, layout, 31);

  MomentsArray estimates(n, 4);            // g
  Moments errors;                          // ‖g − ∇‖²
  MomentsArray pairs(n * (n + 1) / 2, 2);  // the lower half of v vᵀ, v the last of the K tangents
  std::vector<double> v(n), g(n), products(pairs.size());
  for (std::uint32_t step = 0; step < kDraws; ++step) {
    const auto draw = probe->draw(step, count);
    std::fill(g.begin(), g.end(), 0.0);
    for (Index k = 0; k < count; ++k) {
      draw->fill(k, 0, std::span<double>(v));
      const double scaled = inner_product<double>(v, gradient) / static_cast<double>(count);
      for (std::size_t i = 0; i < n; ++i) g[i] += scaled * v[i];
    }
    estimates.add(g);
    double error = 0;
    for (std::size_t i = 0; i < n; ++i) error += (g[i] - gradient[i]) * (g[i] - gradient[i]);
    errors.add(error);
    if (step % kDrawsAPair != 0) continue;
    auto next = products.begin();
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j <= i; ++j) *next++ = v[i] * v[j];
    }
    pairs.add(products);
  }

  for (std::size_t i = 0, pair = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j, ++pair) {
      const CentralMoments product = pairs.entry(pair);
      EXPECT_TRUE(agrees(product.mean, i == j ? 1 : 0, product.mean_error(), kRounding)) << "E v_" << i << " v_" << j;
    }
    const CentralMoments estimate = estimates.entry(i);
    EXPECT_TRUE(agrees(estimate.mean, gradient[i], estimate.mean_error(), kRounding)) << "E g_" << i;
    EXPECT_TRUE(agrees(estimate.variance(), probe->entry_variance(view, static_cast<Index>(i), count),
                       estimate.variance_error(), kRounding))
        << "V g_" << i;
  }
  EXPECT_TRUE(agrees(errors.mean(), probe->total_variance(view, count), errors.mean_error(), kRounding)) << "E‖g − ∇‖²";
}

// Gradients spread in several ways over the layout's blocks.
std::vector<std::vector<double>> gradients(const ParameterLayout& layout) {
  std::vector<std::vector<double>> all{uneven_gradient(layout.size),
                                       std::vector<double>(static_cast<std::size_t>(layout.size), -0.25)};
  for (const Segment& segment : layout.segments) {
    all.emplace_back(static_cast<std::size_t>(layout.size), 0.0);
    for (Index i = 0; i < segment.size(); ++i)
      all.back()[static_cast<std::size_t>(segment.offset + i)] = 1.0 + static_cast<double>(i);
  }
  return all;
}

TEST(Predictions, EntriesSumToTheTotalAndTheTotalToTheSignalToNoiseRatio) {
  for (const ParameterLayout& layout : {small_layout(), ParameterLayout::vector(5)}) {
    for (const std::string& law : probe_names()) {
      const auto probe = make_probe(law, layout, 1);
      for (const Index count : {Index{1}, Index{3}, layout.size}) {
        const auto [low, high] = probe->snr(count);
        double least = INFINITY, most = 0;
        for (const std::vector<double>& gradient : gradients(layout)) {
          const GradientView view(layout, gradient);
          double sum = 0;
          for (Index i = 0; i < layout.size; ++i) sum += probe->entry_variance(view, i, count);
          const double total = probe->total_variance(view, count);
          EXPECT_NEAR(sum, total, 1e-10 * view.squared_norm()) << law << ", K = " << count;
          const double snr = view.squared_norm() / total;
          least = std::min(least, snr);
          most = std::max(most, snr);
        }
        // Both ends are reached: by gradients that lie in one block.
        if (std::isinf(low)) {
          EXPECT_EQ(least, low) << law << ", K = " << count;
          EXPECT_EQ(most, high);
        } else {
          EXPECT_NEAR(least, low, 1e-12 * low) << law << ", K = " << count;
          EXPECT_NEAR(most, high, 1e-12 * high) << law << ", K = " << count;
        }
      }
    }
  }
}

// E s⁴ ≤ slope_kurtosis ‖∇‖⁴ however ∇ is spread; 7 of 8 laws and 7 gradients, one-sided: false alarm rate 2e-9.
TEST(Predictions, SlopesHaveNoMoreKurtosisThanStated) {
  const ParameterLayout layout = small_layout();
  const auto all = gradients(layout);
  for (const std::string& law : probe_names()) {
    const auto probe = make_probe(law, layout, 51);
    if (std::isinf(probe->slope_kurtosis())) continue;
    std::vector<Moments> fourth(all.size());
    std::vector<double> v(static_cast<std::size_t>(layout.size));
    for (std::uint32_t step = 0; step < 50'000; ++step) {
      probe->draw(step, 1)->fill(0, 0, std::span<double>(v));
      for (std::size_t i = 0; i < all.size(); ++i) fourth[i].add(std::pow(inner_product<double>(v, all[i]), 4));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double square = inner_product<double>(all[i], all[i]);
      EXPECT_LE(fourth[i].mean() / (square * square),
                probe->slope_kurtosis() + kSigmas * fourth[i].mean_error() / (square * square))
          << law << ", gradient " << i;
    }
  }
}

TEST(GradientView, SumsOfSquaresOfRowsColumnsAndBlocks) {
  ParameterLayout layout;
  layout.add_bias("bias", layout.add("weight", {2, 2}, {}, 2));
  layout.add("gain", {2}, {}, 2);
  const std::vector<double> gradient{1, 2, 3, 4, 5, 6, 7, 8};
  const GradientView view(layout, gradient);
  EXPECT_EQ(view.size(), 8);
  EXPECT_EQ(view[3], 4);
  EXPECT_EQ(view.squared_norm(), 204);
  EXPECT_EQ(view.block_squared_norm(0), 91);
  EXPECT_EQ(view.block_squared_norm(1), 113);
  EXPECT_EQ(view.row_and_column(1), (1 + 4 + 25) + (4 + 16));    // weight (0, 1)
  EXPECT_EQ(view.row_and_column(2), (9 + 16 + 36) + (1 + 9));    // weight (1, 0)
  EXPECT_EQ(view.row_and_column(5), (9 + 16 + 36) + (25 + 36));  // bias 1
  EXPECT_EQ(view.row_and_column(7), 64 + 113);                   // the vector is one column
}

// Whoever calls itself rotation-invariant has the cosine's exact law with any fixed direction; false alarm rate 1e-7
// each. The others must be told from it.
TEST(Predictions, RotationInvarianceIsSeenInTheAlignment) {
  const ParameterLayout layout = ParameterLayout::vector(2);
  const std::vector<double> direction{1, 0};
  for (const std::string& law : probe_names()) {
    const auto probe = make_probe(law, layout, 1);
    std::vector<double> cosines, v(2);
    for (std::uint32_t step = 0; step < 50'000; ++step) {
      const auto draw = probe->draw(step, 2);
      draw->fill(1, 0, std::span<double>(v));
      cosines.push_back(inner_product<double>(v, direction) / std::sqrt(draw->squared_norm(1)));
    }
    // On a vector, tangents with normal factors are dense ones.
    const double p = kolmogorov_smirnov_test(cosines, [](double c) { return cosine_cdf(2, c); }).p_value;
    if (probe->rotation_invariant() || law == "rank-one-gaussian" || law == "low-rank") {
      EXPECT_GT(p, 1e-7) << law;
    } else {
      EXPECT_LT(p, 1e-7) << law;
    }
  }
}

TEST(ProjectorMoments, AWholeBasisIsTheIdentity) {
  for (const Index n : {1, 2, 28}) {
    const ProjectorMoments moments = projector_moments(n, n);
    EXPECT_EQ(moments.alpha, 1);
    EXPECT_EQ(moments.beta, 0);
  }
  // The formulas reach it of themselves.
  const ProjectorMoments almost = projector_moments(1'000'000, 999'999);
  EXPECT_NEAR(almost.alpha, 1, 1e-5);
  EXPECT_NEAR(almost.beta, 0, 1e-5);
}

// E‖P∇‖² = (K/n) ‖∇‖². In the plane, P₁₁ = cos² φ and P₁₂ = cos φ sin φ have E[P₁₁²] = 3/8, E[P₁₂²] = 1/8.
TEST(ProjectorMoments, TheirTraceAndThePlane) {
  for (const Index n : {2, 5, 28}) {
    for (Index k = 1; k <= n; ++k) {
      const ProjectorMoments moments = projector_moments(n, k);
      EXPECT_NEAR(moments.alpha + static_cast<double>(n + 1) * moments.beta,
                  static_cast<double>(k) / static_cast<double>(n), 1e-14);
    }
  }
  const ProjectorMoments plane = projector_moments(2, 1);
  EXPECT_NEAR(plane.alpha + 2 * plane.beta, 3.0 / 8, 1e-15);
  EXPECT_NEAR(plane.beta, 1.0 / 8, 1e-15);
}

}  // namespace
}  // namespace slopewise
