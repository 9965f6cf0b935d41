#include "slopewise/audit/costs.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"

namespace slopewise {
namespace {

constexpr double kTimeConfidence = 0.999;
constexpr int kRounds = 5;
// A rate at which a step costs what any other does and θ stays where it is, within rounding.
constexpr double kStill = 1e-30;

using Clock = std::chrono::steady_clock;

double seconds_of_step(Trainer& trainer) {
  const Clock::time_point start = Clock::now();
  trainer.advance();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool fits(const MethodCost& cost, const AuditTask& task) {
  return task.memory == 0 || cost.bytes() <= task.memory;
}

}  // namespace

// One trainer at a time, so that an audit takes the memory of the largest method that fits and not of all together:
// rounds go over the methods, and what disturbs one round disturbs every method in it.
std::vector<MethodCost> measure_costs(const AuditTask& task, std::span<const AuditMethod> methods,
                                      std::span<const Index> batches, double budget,
                                      const std::function<void(double share)>& told) {
  std::vector<MethodCost> costs;
  const double share = budget / static_cast<double>(methods.size() * kRounds);
  const double told_each = 1 / static_cast<double>(methods.size() * batches.size());
  for (const Index batch : batches) {
    AuditTask of_batch = task;
    of_batch.batch = batch;
    const std::size_t first = costs.size();
    std::vector<std::vector<double>> seconds(methods.size());
    for (int round = 0; round < (batch == task.batch ? kRounds : 1); ++round) {
      for (std::size_t i = 0; i < methods.size(); ++i) {
        check_interrupted("timing steps");
        if (round > 0 && (seconds[i].empty() || seconds[i].front() > share)) continue;
        const std::unique_ptr<Trainer> trainer = trainer_of(of_batch, methods[i], kStill);
        if (round == 0) {
          told(told_each);
          costs.push_back({.method = methods[i].name,
                           .batch = batch,
                           .step_bytes = trainer->step_bytes(),
                           .state_bytes = trainer->state_bytes(),
                           .forwards = trainer->forwards()});
        }
        if (batch != task.batch || !fits(costs[first + i], task)) continue;
        // The first step takes its memory too, which is little beside one that is long.
        double spent = seconds_of_step(*trainer);
        if (spent > share) seconds[i].push_back(spent);
        while (spent < share) {
          seconds[i].push_back(seconds_of_step(*trainer));
          spent += seconds[i].back();
        }
      }
    }
    for (std::size_t i = 0; i < methods.size(); ++i) {
      MethodCost& cost = costs[first + i];
      cost.seconds = seconds[i].empty() ? kUnknown : median(seconds[i]);
      cost.seconds_interval = {kUnknown, kUnknown};
      if (static_cast<Index>(seconds[i].size()) >= kLeastRounds)
        cost.seconds_interval = median_interval(seconds[i], kTimeConfidence);
    }
  }
  return costs;
}

}  // namespace slopewise
