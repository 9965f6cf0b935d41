// What a backward pass costs over the forward pass it follows: 2 to 4 times, the note says. Beside it what a slope
// costs over the loss, with a dense and with a rank-one tangent.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "slopewise/base/threads.hpp"
#include "slopewise/statistics/timing.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr Interval kStated{2, 4};
constexpr Index kRounds = 301;

struct Times {
  double loss;  // seconds
  Ratio backward, rank_one, dense;
};

// The tangents of one step, as an objective takes them.
Tangents<float> drawn(const Subject& subject, std::string_view law, std::uint64_t seed) {
  const std::shared_ptr<const Probe> probe = make_probe(law, subject.layout(), seed);
  Tangents<float> tangents(subject.layout(), 1, probe->forms());
  probe->draw(0, 1)->write(tangents);
  return tangents;
}

Times measure(const Subject& subject, double budget, std::uint64_t seed) {
  ProgramObjective<float> objective = subject.objective();
  const Parameters<float>& theta = subject.parameters();
  const Tangents<float> rank_one = drawn(subject, "rank-one", seed);
  const Tangents<float> dense = drawn(subject, "gaussian", seed);
  std::vector<float> gradient(static_cast<std::size_t>(subject.size()));
  const std::function<void()> tasks[] = {
      [&] { objective.loss(theta); },
      [&] { objective.gradient(theta, gradient); },
      [&] { objective.slopes(theta, rank_one); },
      [&] { objective.slopes(theta, dense); },
  };
  const auto seconds = interleaved_seconds(tasks, kRounds, budget, "timing the backward pass");
  return {.loss = median(seconds[0]),
          .backward = seconds_ratio(seconds[1], seconds[0], kObservedConfidence, 1),
          .rank_one = seconds_ratio(seconds[2], seconds[0], kObservedConfidence),
          .dense = seconds_ratio(seconds[3], seconds[0], kObservedConfidence)};
}

// Operations of the pullback over those of the value.
double operations_ratio(const Subject& subject, Index batch) {
  const CostReport cost = ExactPass<float>(subject.program()).cost(batch);
  return cost.pullback_flops / cost.value_flops;
}

ClaimResult measure_backward_cost(StudyContext& context) {
  const bool quick = context.options().quick;
  const double budget = quick ? 0.4 : 1.0;
  const Index batch = context.options().batch;
  const std::uint64_t seed = context.seed("backward cost");

  // The network, and others of its kind.
  std::vector<Subject> others;
  if (context.has_perceptrons()) {
    others.push_back(context.perceptron(std::vector<Index>{64}));
    if (!quick) others.push_back(context.perceptron(std::vector<Index>{1024, 1024}));
  }
  std::vector<const Subject*> subjects = {&context.subject()};
  for (const Subject& other : others) subjects.push_back(&other);
  std::ranges::stable_sort(subjects, {}, &Subject::size);

  std::vector<int> counts = {1};
  if (thread_count() > 1) counts.push_back(thread_count());
  Series series{.name = "times",
                .columns = {"n", "threads", "loss (ms)", "backward/forward operations", "backward/forward", "low",
                            "high", "rank-one slope/loss", "rank-one low", "rank-one high", "dense slope/loss",
                            "dense low", "dense high"}};
  std::optional<Times> headline;  // of the largest network, on one thread: others' work disturbs that least
  for (const int count : counts) {
    const ThreadScope scope(count);
    for (const Subject* subject : subjects) {
      const Times times = measure(*subject, budget, seed);
      const auto& [loss, backward, rank_one, dense] = times;
      if (count == 1 && subject == subjects.back()) headline = times;
      series.rows.push_back({static_cast<double>(subject->size()), static_cast<double>(count), 1e3 * loss,
                             operations_ratio(*subject, batch), backward.value, backward.interval.low,
                             backward.interval.high, rank_one.value, rank_one.interval.low, rank_one.interval.high,
                             dense.value, dense.interval.low, dense.interval.high});
    }
  }

  const Ratio& found = headline->backward;
  ClaimResult result = judge_range(
      fmt::format("time of the backward pass over the forward pass, one thread, n = {}", subjects.back()->size()),
      kStated, found.value, found.interval);
  result.condition = fmt::format(
      "its operations are {:.2f} times as many; one slope costs {:.2f} losses with a rank-one tangent, {:.2f} with a "
      "dense one",
      operations_ratio(*subjects.back(), batch), headline->rank_one.value, headline->dense.value);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim backward_cost_claim() {
  return {.name = "backward-cost",
          .statement = "A backward pass costs 2 to 4 times the forward pass",
          .timed = true,
          .weight = 3,
          .run = measure_backward_cost};
}

}  // namespace slopewise
