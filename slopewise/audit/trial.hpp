// Short runs from θ: what was predicted of a method beside what it does.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "slopewise/audit/methods.hpp"

namespace slopewise {

struct TrialPoint {
  Index step = 0;
  double loss = 0;  // of the reference examples
};

struct Trial {
  std::string method;
  double rate = 0;
  std::string status;  // "reached" the target, "time", "diverged"
  double seconds = 0;  // of steps, evaluations not counted
  std::vector<TrialPoint> curve;

  Index steps() const { return curve.back().step; }
  double decrease() const { return curve.front().loss - curve.back().loss; }
};

// Runs the method from the task's weights until the reference loss is at most `target`, or `budget` seconds are over,
// or it is twice what it was at first, or not finite. Throws what the trainer throws, but for numbers that are not
// finite.
Trial run_trial(const AuditTask& task, const AuditMethod& method, double rate, double target, double budget);

// What steps of `decrease` each at first bring the loss down by, when it falls in proportion to itself:
// L (1 − exp(−steps decrease/L)). Both above what it can fall to, 0.
double predicted_decrease(double loss, double decrease, double steps);

// Steps after which the trial's loss was that low first, between evaluations by a line; NaN if it never was.
double steps_to(const Trial& trial, double loss);

// Steps of one run over those of another to the lowest loss that both came to; NaN where one came nowhere.
double measured_slowdown(const Trial& trial, const Trial& backprop);

}  // namespace slopewise
