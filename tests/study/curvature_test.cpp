#include "slopewise/estimate/curvature.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/data/digits.hpp"
#include "slopewise/study/context.hpp"
#include "tests/study/subjects.hpp"

namespace slopewise {
namespace {

// Softmax regression, z = Wx + b with probabilities p: dᵀHd = mean over examples of Σ p_c u_c² − (Σ p_c u_c)², u = Dx +
// d_b, and tr H = mean of Σ p_c (1 − p_c) (‖x‖² + 1).
TEST(MeasureCurvature, OfSoftmaxRegressionIsThatOfTheFormula) {
  const Dataset data = builtin_digits(16, 1, 3).train;
  const Subject subject = subject_of({.family = "logistic", .hidden = {}}, data, 16, 5);
  const auto theta = subject.parameters().values();
  const auto gradient = subject.gradient().values();
  ASSERT_EQ(subject.size(), 7850);

  double trace = 0, bend = 0;
  for (std::size_t b = 0; b < 16; ++b) {
    const float* x = subject.batch().images().data() + b * 784;
    double z[10], u[10], square = 1, total = 0, first = 0, second = 0;
    for (std::size_t j = 0; j < 784; ++j) square += double{x[j]} * x[j];
    for (std::size_t c = 0; c < 10; ++c) {
      z[c] = theta[7840 + c];
      u[c] = gradient[7840 + c];
      for (std::size_t j = 0; j < 784; ++j) {
        z[c] += double{theta[c * 784 + j]} * x[j];
        u[c] += gradient[c * 784 + j] * x[j];
      }
      total += std::exp(z[c]);
    }
    for (std::size_t c = 0; c < 10; ++c) {
      const double p = std::exp(z[c]) / total;
      trace += p * (1 - p) * square / 16;
      first += p * u[c];
      second += p * u[c] * u[c];
    }
    bend += (second - first * first) / 16;
  }

  const Curvature found = subject.curvature(4096, 11);
  EXPECT_NEAR(found.along_gradient, bend / subject.gradient().squared_norm(), 1e-4 * found.along_gradient);
  // var vᵀHv = 2‖H‖² ≤ 2 (tr H)², most often far less: six standard errors of the worst case are 13 %.
  EXPECT_NEAR(found.trace, trace, 6 * std::sqrt(2.0 / 4096) * trace);
  EXPECT_DOUBLE_EQ(found.slowdown(), (found.trace + 2 * found.along_gradient) / found.along_gradient);
}

}  // namespace
}  // namespace slopewise
