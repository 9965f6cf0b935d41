// How many more steps each method takes: signal and curvature of its steps, measured at θ.
#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "slopewise/audit/noise.hpp"
#include "slopewise/estimate/curvature.hpp"

namespace slopewise {

struct AuditCurvature {
  Measured trace;              // tr H
  Measured along_gradient;     // E[∇_BᵀH∇_B]/E‖∇_B‖²; NaN without exact gradients
  LargestCurvature largest{};  // λ_max; 0 without exact gradients
  // tr H/λ_max, in how many directions curvature is; NaN likewise.
  double effective_dimension() const;
};

// What a step of one method does, on average over mini-batches and tangents.
struct MethodOutlook {
  std::string method;
  Measured signal;        // E[g·∇]
  Measured bend;          // E[gᵀHg]
  double squared_length;  // E‖g‖²
  double cosine;          // of g and ∇: E[g·∇]/√(E‖g‖² ‖∇‖²)
  double snr;             // (E[g·∇]²/‖∇‖²) over what E‖g‖² has beside it
  double rate = 0;        // to start with, the best on the way
  double decrease = 0;    // of the loss by a step at that rate, on the way
  // Logarithm of the slowdown: steps that descend as far as one of backprop's, at their rates; NaN where nobody knows.
  Measured log_slowdown{};

  StepOutlook outlook() const { return {signal.value, bend.value}; }
  double slowdown() const { return std::exp(log_slowdown.value); }
};

struct AuditOutlook {
  AuditCurvature curvature;
  std::vector<MethodOutlook> methods;  // those that could be predicted
};

// `draws`: tangents, or estimates of a method, that means are over. Estimates of methods for which `observable` is
// false are not made: without theory nothing is predicted of them.
// `told`: what share of it is done. Throws what the objective throws.
AuditOutlook measure_outlook(const AuditTask& task, AuditSubject& subject, const AuditNoise& noise,
                             std::span<const AuditMethod> methods,
                             const std::function<bool(const AuditMethod&)>& observable, Index draws,
                             const std::function<void(double share)>& told);

// Steps on the way to half the loss: what tangents add to the curvature of exact steps, `exact_bend`, counts twice.
// E‖∇_B‖²/‖∇‖² multiplies it and grows as training goes on, and a run whose rate allows for none of that stalls.
StepOutlook on_the_way(const StepOutlook& outlook, double exact_bend);

}  // namespace slopewise
