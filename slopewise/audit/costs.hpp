// What a step of each method takes: bytes as planned, seconds as measured.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "slopewise/audit/methods.hpp"
#include "slopewise/statistics/timing.hpp"

namespace slopewise {

struct MethodCost {
  std::string method;
  Index batch = 0;
  Index step_bytes = 0;   // Trainer::step_bytes
  Index state_bytes = 0;  // θ and what else lasts, for plain gradient descent
  double forwards = 0;    // work, in forward passes on the batch
  // Of a step, the median, with its interval (0.999) where there are rounds enough; NaN where none was timed.
  double seconds = 0;
  Interval seconds_interval{};

  Index bytes() const { return step_bytes + state_bytes; }
};

// In the order of methods, batch by batch. Steps on other batches than the task's, and those that take more than its
// memory, are planned and not run. `budget`: seconds of measuring, all in all; a method whose step does not fit in its
// share is timed by one. `told`: what share of it is done. Throws what a step throws.
std::vector<MethodCost> measure_costs(const AuditTask& task, std::span<const AuditMethod> methods,
                                      std::span<const Index> batches, double budget,
                                      const std::function<void(double share)>& told);

}  // namespace slopewise
