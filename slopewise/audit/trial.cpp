#include "slopewise/audit/trial.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"

namespace slopewise {
namespace {

// Evaluations take at most as long as steps; the next comes after this share more steps.
constexpr double kApart = 1.15;
constexpr double kDivergedAt = 2;

}  // namespace

Trial run_trial(const AuditTask& task, const AuditMethod& method, double rate, double target, double budget) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const Clock::time_point begin = Clock::now();
  const std::unique_ptr<Trainer> trainer = trainer_of(task, method, rate);
  Trial trial{.method = method.name, .rate = rate, .status = "time"};
  trial.curve.push_back({0, trainer->evaluate().loss});
  Index next = 1;
  try {
    while (since(begin) < budget) {
      check_interrupted("trying methods");
      const Clock::time_point start = Clock::now();
      trainer->advance();
      trial.seconds += since(start);
      if (trainer->step() < next && since(begin) < budget) continue;
      trial.curve.push_back({trainer->step(), trainer->evaluate().loss});
      next = std::max(next + 1, static_cast<Index>(kApart * static_cast<double>(trainer->step())));
      const double loss = trial.curve.back().loss;
      if (!(loss < kDivergedAt * trial.curve.front().loss)) {
        trial.status = "diverged";
        break;
      }
      if (loss <= target) {
        trial.status = "reached";
        break;
      }
    }
  } catch (const NumericError&) {
    trial.status = "diverged";
  }
  return trial;
}

double predicted_decrease(double loss, double decrease, double steps) {
  return loss * -std::expm1(-steps * decrease / loss);
}

double steps_to(const Trial& trial, double loss) {
  for (std::size_t i = 0; i < trial.curve.size(); ++i) {
    const TrialPoint& point = trial.curve[i];
    if (!(point.loss <= loss)) continue;
    if (i == 0) return 0;
    const TrialPoint& before = trial.curve[i - 1];
    const double share = (before.loss - loss) / (before.loss - point.loss);
    return static_cast<double>(before.step) + share * static_cast<double>(point.step - before.step);
  }
  return kUnknown;
}

double measured_slowdown(const Trial& trial, const Trial& backprop) {
  const auto lowest = [](const Trial& of) {
    double least = std::numeric_limits<double>::infinity();
    for (const TrialPoint& point : of.curve) least = std::min(least, point.loss);
    return least;
  };
  const double level = std::max(lowest(trial), lowest(backprop));
  if (!(level < trial.curve.front().loss)) return kUnknown;
  return steps_to(trial, level) / steps_to(backprop, level);
}

}  // namespace slopewise
