// Derivatives of log Γ, for the slopes of lgamma and tgamma.
#pragma once

namespace slopewise::detail {

// ψ⁽ᵏ⁾(a), the derivative number k + 1 of log Γ; NaN at the poles 0, −1, −2, … and for NaN, and where Boost, which
// computes it, gives up.
double polygamma(int order, double a);
float polygamma(int order, float a);
long double polygamma(int order, long double a);

}  // namespace slopewise::detail
