// The laws that forward gradients follow, by name. All throw ArgumentError for parameters outside their range or a NaN.
#pragma once

#include <numbers>

namespace slopewise {

double normal_cdf(double x);
// The x at which normal_cdf is p, 0 < p < 1.
double normal_quantile(double p);

// Student's t with `degrees` > 0 degrees of freedom.
double student_t_quantile(double degrees, double p);

// χ² with `degrees` > 0 degrees of freedom. The quantile takes 0 ≤ p < 1.
double chi_squared_cdf(double degrees, double x);
double chi_squared_quantile(double degrees, double p);

// Beta(a, b) on [0, 1], a, b > 0: 0 (pdf) and 0 or 1 (cdf) outside it. The density at an end may be infinite.
double beta_pdf(double a, double b, double x);
double beta_cdf(double a, double b, double x);
// For 0 ≤ p ≤ 1.
double beta_quantile(double a, double b, double p);

// The cosine c of the angle between a rotation-invariant random direction and a fixed one in n ≥ 2 dimensions: density
// (1 − c²)^((n−3)/2) / B(1/2, (n−1)/2) on [−1, 1], so that c² ~ Beta(1/2, (n−1)/2). The alignment of a forward gradient
// is |c|. E c² = 1/n, E|c| = Γ(n/2) / (√π Γ((n+1)/2)) ≈ √(2/(πn)).
double cosine_pdf(double dimensions, double c);
double cosine_cdf(double dimensions, double c);
double cosine_mean_abs(double dimensions);

// The product of two independent standard normals, which an entry of a forward gradient becomes in high dimension:
// density K₀(|x|)/π, infinite at 0; mean 0, variance 1, kurtosis 9.
double product_normal_pdf(double x);
double product_normal_cdf(double x);
inline constexpr double kProductNormalKurtosis = 9;

// |z| for a standard normal z, which the norm of a forward gradient becomes in units of ‖∇‖√n.
double half_normal_pdf(double x);
double half_normal_cdf(double x);
// E|z| = √(2/π).
inline constexpr double kHalfNormalMean = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
// √2 (4 − π) / (π − 2)^1.5
inline constexpr double kHalfNormalSkewness = 0.99527174643115600;

}  // namespace slopewise
