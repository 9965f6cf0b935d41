// The steps that are timed: what each computes, and how it is run.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/bench/subject.hpp"
#include "slopewise/estimate/estimator.hpp"

namespace slopewise {

// One line of the result, but for its figures.
struct StepKind {
  std::string name;    // as in bench.json
  Index tangents = 0;  // K; 0 where there are none
  Precision precision = Precision::kFloat32;
  TangentStorage storage = TangentStorage::kAuto;  // of dense tangents

  bool operator==(const StepKind&) const = default;
};

// The names of Slopewise's own steps, in the order they are shown.
const std::vector<std::string>& step_names();
// Whether a step of that name takes K tangents.
bool takes_tangents(std::string_view name);
// The law (probe.hpp) of a step's tangents of weights, a peer's too; empty where there are none.
std::string_view tangent_law(const StepKind& kind);
// Why the subject has no such step; empty where it has.
std::string lacks(const BenchSubject& subject, std::string_view name);

// The loss at θ's start.
double start_loss(const BenchSubject& subject);

// One of Slopewise's steps as a function of no arguments; it owns θ and its memory. The subject must outlive it. It
// runs on thread_count() threads. Throws ArgumentError where the subject lacks it.
std::function<void()> make_step(const StepKind& kind, const BenchSubject& subject, Parameters<float> theta);

// What a step, Slopewise's or a peer's, has to compute; draws and the update of θ are not counted. Of steps at
// activities all of it is called the values'.
CostReport step_cost(const StepKind& kind, const BenchSubject& subject);

// The root mean square of (slope in `precision` − slope in float32) over that of the latter, at the start, on
// kErrorTangents tangents of a law. Throws Interrupted.
inline constexpr Index kErrorTangents = 64;
double slope_error(std::string_view law, Precision precision, const BenchSubject& subject);

}  // namespace slopewise
