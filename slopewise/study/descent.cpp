#include "slopewise/study/descent.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/statistics/moments.hpp"
#include "slopewise/study/activities.hpp"

namespace slopewise {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
// Of the initial loss: where a run ends, and where it is given up as diverged.
constexpr double kTarget = 0.5;
constexpr double kDiverged = 4;
// A run may take this many times the steps of the best rate so far.
constexpr double kWorse = 4;
// The loss of all examples, when steps do not make it, is looked at once in so many steps' share of those done.
constexpr std::uint32_t kStepsALook = 64;
// Powers of 2 searched on either side of where the search starts.
constexpr int kPowers = 6;

// steps_to_half of each run, spread over the threads.
std::vector<double> steps_of_runs(const Subject& subject, double rate, double most, Index runs,
                                  const std::function<DescentStep(Index run)>& descent) {
  std::vector<double> each(static_cast<std::size_t>(runs));
  parallel_for(runs, [&](Index run) { each[run] = steps_to_half(subject, descent(run), rate, most); });
  return each;
}

}  // namespace

DescentStep exact_descent(const Subject& subject) {
  const auto objective = std::make_shared<ProgramObjective<float>>(subject.objective());
  return [=](Parameters<float>& theta, std::uint32_t, double rate) { return objective->descend(theta, rate); };
}

DescentStep forward_descent(const Subject& subject, std::uint64_t seed) {
  const auto objective = std::make_shared<ProgramObjective<float>>(subject.objective());
  const std::shared_ptr<Estimator<float>> estimator =
      make_estimator<float>("forward", subject.layout(), {.law = "rank-one", .seed = seed});
  return [=](Parameters<float>& theta, std::uint32_t step, double rate) {
    const GradientEstimate estimate = estimator->estimate(*objective, theta, step);
    estimate.add_to(theta, -rate);
    return estimate.loss();
  };
}

DescentStep learned_prior_descent(const Subject& subject, std::uint64_t seed) {
  constexpr double kPace = 0.15;
  const EstimatorOptions options{.law = "rademacher",
                                 .tangents = 2,
                                 .seed = seed,
                                 .activity = {.prior = "feedback", .correction = Correction::kGated, .pace = kPace}};
  const auto objective = std::make_shared<ProgramObjective<float>>(subject.objective());
  const std::shared_ptr<Estimator<float>> estimator = activity_estimator(subject, options);
  return [=](Parameters<float>& theta, std::uint32_t step, double rate) {
    const GradientEstimate estimate = estimator->estimate(*objective, theta, step);
    estimator->learn(estimate);
    estimate.add_to(theta, -rate);
    return estimate.loss();
  };
}

std::vector<Index> draw_examples(std::span<const Index> examples, Index size, std::uint64_t seed,
                                 std::uint64_t number) {
  RandomStream random(seed, number);
  std::vector<Index> drawn;
  for (Index b = 0; b < size; ++b) drawn.push_back(examples[random.below(static_cast<std::uint32_t>(examples.size()))]);
  return drawn;
}

DescentStep minibatch_descent(const Subject& subject, const Dataset& data, std::span<const Index> examples, Index size,
                              std::uint64_t seed) {
  const auto whole = std::make_shared<ProgramObjective<float>>(subject.objective());
  const auto part = std::make_shared<ProgramObjective<float>>(subject.objective());
  const std::shared_ptr<Estimator<float>> estimator =
      make_estimator<float>("forward", subject.layout(), {.law = "rank-one", .seed = seed});
  return [=, &data, loss = 0.0](Parameters<float>& theta, std::uint32_t step, double rate) mutable {
    if (step % std::bit_floor(std::max(1u, step / kStepsALook)) == 0) loss = whole->loss(theta);
    const ExampleBatch<float> batch(data, draw_examples(examples, size, seed, step));
    part->bind(batch.batch());
    estimator->estimate(*part, theta, step).add_to(theta, -rate);
    return loss;
  };
}

double steps_to_half(const Subject& subject, const DescentStep& step, double rate, double most) {
  Parameters<float> theta = subject.parameters();
  try {
    for (std::uint32_t t = 0; t <= most; ++t) {
      check_interrupted("training to a target loss");
      const double loss = step(theta, t, rate);
      if (loss <= kTarget * subject.loss()) return t;
      if (!(loss <= kDiverged * subject.loss())) return kNever;
    }
  } catch (const NumericError&) {  // diverged at once
  }
  return kNever;
}

Ratio steps_ratio(const TunedDescent& tuned, double steps, double confidence) {
  Moments logarithms;
  for (const double each : tuned.each) logarithms.add(std::log(std::min(each, kWorse * tuned.steps) / steps));
  const Interval interval = mean_interval(logarithms.central(), confidence);
  return {.value = std::exp(logarithms.mean()), .interval = {std::exp(interval.low), std::exp(interval.high)}};
}

TunedDescent tune_descent(double start, double most,
                          const std::function<std::vector<double>(double rate, double most)>& runs) {
  TunedDescent best;
  const auto improves = [&](int power) {
    const double rate = std::ldexp(start, power);
    std::vector<double> each = runs(rate, std::min(most, kWorse * best.steps));
    const double steps = median(each);
    if (!(steps < best.steps)) return false;
    best = {.rate = rate, .steps = steps, .each = std::move(each)};
    return true;
  };
  improves(0);
  for (const int direction : {-1, 1}) {
    for (int power = 1; power <= kPowers; ++power) {
      if (!improves(direction * power) && std::isfinite(best.steps)) break;
    }
  }
  return best;
}

TunedDescent tune_descent(const Subject& subject, double start, double most, Index runs,
                          const std::function<DescentStep(Index run)>& descent) {
  return tune_descent(
      start, most, [&](double rate, double most_now) { return steps_of_runs(subject, rate, most_now, runs, descent); });
}

TunedDescent repeat_descent(const Subject& subject, const TunedDescent& tuned, Index runs,
                            const std::function<DescentStep(Index run)>& descent) {
  TunedDescent repeated{.rate = 2 * tuned.rate};
  for (int power = 0; power <= kPowers && !std::isfinite(repeated.steps); ++power) {
    repeated.rate /= 2;
    repeated.each = steps_of_runs(subject, repeated.rate, kWorse * tuned.steps, runs, descent);
    repeated.steps = median(repeated.each);
  }
  return repeated;
}

}  // namespace slopewise
