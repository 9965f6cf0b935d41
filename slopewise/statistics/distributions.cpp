#include "slopewise/statistics/distributions.hpp"

#include <fmt/format.h>

#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/bessel.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// In double throughout: Boost's way through long double takes several times as long to run and to compile.
using InDouble = boost::math::policies::policy<boost::math::policies::promote_double<false>>;
using Beta = boost::math::beta_distribution<double, InDouble>;
using ChiSquared = boost::math::chi_squared_distribution<double, InDouble>;
using Normal = boost::math::normal_distribution<double, InDouble>;
using StudentsT = boost::math::students_t_distribution<double, InDouble>;

// Written so that NaN fails.
void require(bool holds, const char* function, const char* argument, const char* expected, double found) {
  if (!holds) throw ArgumentError(fmt::format("{}: {}: expected {}, found {}", function, argument, expected, found));
}

void require_number(const char* function, const char* argument, double found) {
  require(!std::isnan(found), function, argument, "a number", found);
}

void require_positive(const char* function, const char* argument, double found) {
  require(found > 0 && found < kInf, function, argument, "a positive number", found);
}

void require_probability(const char* function, double p) {
  require(p > 0 && p < 1, function, "p", "a probability in (0, 1)", p);
}

void require_dimensions(const char* function, double dimensions) {
  require(dimensions >= 2 && dimensions < kInf, function, "dimensions", "at least 2", dimensions);
}

}  // namespace

double normal_cdf(double x) {
  require_number("normal_cdf", "x", x);
  return 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

double normal_quantile(double p) {
  require_probability("normal_quantile", p);
  return boost::math::quantile(Normal(), p);
}

double student_t_quantile(double degrees, double p) {
  require_positive("student_t_quantile", "degrees", degrees);
  require_probability("student_t_quantile", p);
  return boost::math::quantile(StudentsT(degrees), p);
}

double chi_squared_cdf(double degrees, double x) {
  require_positive("chi_squared_cdf", "degrees", degrees);
  require_number("chi_squared_cdf", "x", x);
  if (x <= 0) return 0;
  return x == kInf ? 1 : boost::math::cdf(ChiSquared(degrees), x);
}

double chi_squared_quantile(double degrees, double p) {
  require_positive("chi_squared_quantile", "degrees", degrees);
  require(p >= 0 && p < 1, "chi_squared_quantile", "p", "a probability in [0, 1)", p);
  return boost::math::quantile(ChiSquared(degrees), p);
}

double beta_pdf(double a, double b, double x) {
  require_positive("beta_pdf", "a", a);
  require_positive("beta_pdf", "b", b);
  require_number("beta_pdf", "x", x);
  if (x < 0 || x > 1) return 0;
  if ((x == 0 && a < 1) || (x == 1 && b < 1)) return kInf;
  return boost::math::pdf(Beta(a, b), x);
}

double beta_cdf(double a, double b, double x) {
  require_positive("beta_cdf", "a", a);
  require_positive("beta_cdf", "b", b);
  require_number("beta_cdf", "x", x);
  if (x <= 0) return 0;
  return x >= 1 ? 1 : boost::math::cdf(Beta(a, b), x);
}

double beta_quantile(double a, double b, double p) {
  require_positive("beta_quantile", "a", a);
  require_positive("beta_quantile", "b", b);
  if (!(p >= 0 && p <= 1)) throw ArgumentError(fmt::format("beta_quantile: p is {}, expected 0 to 1", p));
  return boost::math::quantile(Beta(a, b), p);
}

double cosine_pdf(double dimensions, double c) {
  require_dimensions("cosine_pdf", dimensions);
  require_number("cosine_pdf", "c", c);
  if (std::abs(c) > 1) return 0;
  // 1/B(1/2, b) = Γ(b + 1/2) / (√π Γ(b)),  b = (n − 1)/2
  const double scale =
      std::numbers::inv_sqrtpi / boost::math::tgamma_delta_ratio(0.5 * (dimensions - 1), 0.5, InDouble());
  return scale * std::pow((1 - c) * (1 + c), 0.5 * (dimensions - 3));
}

double cosine_cdf(double dimensions, double c) {
  require_dimensions("cosine_cdf", dimensions);
  require_number("cosine_cdf", "c", c);
  // Each tail from its own incomplete beta function, so that a small one keeps its digits.
  const double b = 0.5 * (dimensions - 1);
  if (c <= -1) return 0;
  if (c >= 1) return 1;
  const double tail = 0.5 * boost::math::ibetac(0.5, b, c * c, InDouble());
  return c < 0 ? tail : 1 - tail;
}

double cosine_mean_abs(double dimensions) {
  require_dimensions("cosine_mean_abs", dimensions);
  return std::numbers::inv_sqrtpi * boost::math::tgamma_delta_ratio(0.5 * dimensions, 0.5, InDouble());
}

double product_normal_pdf(double x) {
  require_number("product_normal_pdf", "x", x);
  if (x == 0) return kInf;
  return std::isinf(x) ? 0 : boost::math::cyl_bessel_k(0, std::abs(x), InDouble()) * std::numbers::inv_pi;
}

double product_normal_cdf(double x) {
  require_number("product_normal_cdf", "x", x);
  // With K₀(t) = ∫₀^∞ exp(−t cosh u) du the tail ∫_x^∞ K₀(t)/π dt is 1/π ∫₀^∞ exp(−x cosh u)/cosh u du. The integrand
  // is analytic for |Im u| < π/2, so the trapezoidal rule errs by about exp(−π²/step) relative to 1/2: below rounding
  // here.
  constexpr double kStep = 0.2;
  const double at = std::abs(x);
  double sum = 0.5 * std::exp(-at);
  for (int i = 1;; ++i) {
    const double cosh = std::cosh(kStep * i);
    const double term = std::exp(-at * cosh) / cosh;
    sum += term;
    if (term <= 1e-17 * sum) break;
  }
  const double tail = kStep * sum * std::numbers::inv_pi;
  return x > 0 ? 1 - tail : tail;
}

double half_normal_pdf(double x) {
  require_number("half_normal_pdf", "x", x);
  return x < 0 ? 0 : kHalfNormalMean * std::exp(-0.5 * x * x);
}

double half_normal_cdf(double x) {
  require_number("half_normal_cdf", "x", x);
  return x < 0 ? 0 : std::erf(x / std::numbers::sqrt2);
}

}  // namespace slopewise
