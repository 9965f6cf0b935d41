#include "slopewise/optimize/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "slopewise/base/named.hpp"

namespace slopewise {
namespace {

struct Entry {
  std::string_view name;
  std::string_view summary;
  double (*shape)(double x, const ScheduleOptions& options);
};

const NamedTable<Entry>& schedules() {
  static const NamedTable<Entry> table(
      "schedule",
      {
          {"constant", "the same rate at every step", [](double, const ScheduleOptions& o) { return o.rate; }},
          {"exponential", "from rate to final rate by the same factor every step",
           [](double x, const ScheduleOptions& o) { return o.rate * std::pow(o.final_rate / o.rate, x); }},
          {"cosine", "from rate to final rate along half a cosine",
           [](double x, const ScheduleOptions& o) {
             return o.final_rate + (o.rate - o.final_rate) * (1 + std::cos(std::numbers::pi * x)) / 2;
           }},
      });
  return table;
}

}  // namespace

Schedule::Schedule(std::string_view name, const ScheduleOptions& options)
    : shape_(schedules().find(name).shape), options_(options) {
  const auto require = [&](bool holds, std::string_view option, std::string_view expected, auto found) {
    if (!holds)
      throw ArgumentError(fmt::format("schedule '{}': {}: expected {}, found {}", name, option, expected, found));
  };
  require(options.rate > 0 && std::isfinite(options.rate), "rate", "a number above 0", options.rate);
  require(options.warm_up >= 0, "warm_up", "at least 0 steps", options.warm_up);
  if (name == "constant") {
    options_.steps = options.warm_up + 1;
    return;
  }
  require(options.steps > options.warm_up, "steps", fmt::format("more than the warm-up's {}", options.warm_up),
          options.steps);
  require(options.final_rate >= 0 && options.final_rate <= options.rate, "final_rate",
          fmt::format("a number from 0 to the rate {}", options.rate), options.final_rate);
  require(name != "exponential" || options.final_rate > 0, "final_rate", "a number above 0", options.final_rate);
}

double Schedule::rate(Index step) const {
  if (step < 0) throw ArgumentError(fmt::format("schedule: step: expected at least 0, found {}", step));
  const auto [rate, final_rate, steps, warm_up] = options_;
  if (step < warm_up) return rate * static_cast<double>(step + 1) / static_cast<double>(warm_up + 1);
  return shape_(std::min(1.0, static_cast<double>(step - warm_up) / static_cast<double>(steps - warm_up)), options_);
}

const std::vector<std::string>& schedule_names() {
  return schedules().names();
}

std::string_view schedule_summary(std::string_view name) {
  return schedules().summary(name);
}

}  // namespace slopewise
