// Schedules: the learning rate as a function of the step, and of nothing else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

struct ScheduleOptions {
  double rate = 0;        // η₀, after the warm-up
  double final_rate = 0;  // η₁, from step `steps` on; in [0, rate], above 0 for "exponential"; unused by "constant"
  Index steps = 0;        // T, warm-up included; more than `warm_up`; unused by "constant"
  Index warm_up = 0;      // W: the rate of step t < W is η₀ (t + 1) / (W + 1)
};

// With x = (t − W) / (T − W), and 1 where that is above 1:
// "constant": η₀. "exponential": η₀ (η₁/η₀)ˣ. "cosine": η₁ + (η₀ − η₁)(1 + cos πx)/2 (Loshchilov & Hutter 2017).
class Schedule {
 public:
  // Throws ArgumentError for an unknown name or options out of range.
  Schedule(std::string_view name, const ScheduleOptions& options);
  // The rate of step t = 0, 1, … Throws ArgumentError for a negative one.
  double rate(Index step) const;

 private:
  double (*shape_)(double x, const ScheduleOptions& options);
  ScheduleOptions options_;
};

const std::vector<std::string>& schedule_names();
std::string_view schedule_summary(std::string_view name);

}  // namespace slopewise
