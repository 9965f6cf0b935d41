// What a backward pass costs over the forward pass it follows: 2 to 4 times, the note says. Beside it what a slope
// costs over the loss, with a dense and with a rank-one tangent.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "slopewise/base/threads.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/study/timing.hpp"

namespace slopewise {
namespace {

constexpr double kStatedLow = 2, kStatedHigh = 4;
constexpr Index kRounds = 301;

// A ratio of times: the median over rounds, each compared within itself.
struct Ratio {
  double value;
  Interval interval;
};

Ratio ratio(const std::vector<double>& seconds, const std::vector<double>& of_loss, double subtract = 0) {
  std::vector<double> ratios(seconds.size());
  for (std::size_t i = 0; i < ratios.size(); ++i) ratios[i] = seconds[i] / of_loss[i] - subtract;
  return {median(ratios), median_interval(ratios, kClaimConfidence)};
}

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
          .backward = ratio(seconds[1], seconds[0], 1),
          .rank_one = ratio(seconds[2], seconds[0]),
          .dense = ratio(seconds[3], seconds[0])};
}

// Operations of the pullback over those of the value.
double predicted_ratio(const Subject& subject, Index batch) {
  const CostReport cost = ExactPass<float>(subject.program()).cost(batch);
  return cost.pullback_flops / cost.value_flops;
}

ClaimResult measure_backward_cost(StudyContext& context) {
  const bool quick = context.options().quick;
  const double budget = quick ? 0.15 : 0.6;
  const Index batch = context.options().batch;
  const std::uint64_t seed = context.seed("backward cost");

  std::vector<std::vector<Index>> shapes = {{64}, context.options().hidden};
  if (!quick) shapes.push_back({1024, 1024});
  std::vector<std::unique_ptr<const Subject>> subjects;
  for (const std::vector<Index>& hidden : shapes)
    subjects.push_back(std::make_unique<Subject>(context.perceptron(hidden)));
  std::sort(subjects.begin(), subjects.end(), [](const auto& a, const auto& b) { return a->size() < b->size(); });

  std::vector<int> counts = {1};
  if (thread_count() > 1) counts.push_back(thread_count());
  Series series{.name = "times",
                .columns = {"n", "threads", "loss (ms)", "backward/forward predicted", "backward/forward", "low",
                            "high", "rank-one slope/loss", "rank-one low", "rank-one high", "dense slope/loss",
                            "dense low", "dense high"}};
  std::optional<Times> headline;  // of the largest network, on one thread: others' work disturbs that least
  for (const int count : counts) {
    const ThreadScope scope(count);
    for (const auto& subject : subjects) {
      const Times times = measure(*subject, budget, seed);
      const auto& [loss, backward, rank_one, dense] = times;
      if (count == 1 && subject == subjects.back()) headline = times;
      series.rows.push_back({static_cast<double>(subject->size()), static_cast<double>(count), 1e3 * loss,
                             predicted_ratio(*subject, batch), backward.value, backward.interval.low,
                             backward.interval.high, rank_one.value, rank_one.interval.low, rank_one.interval.high,
                             dense.value, dense.interval.low, dense.interval.high});
    }
  }

  const Ratio& found = headline->backward;
  const bool meets = found.interval.low <= kStatedHigh && found.interval.high >= kStatedLow;
  ClaimResult result{.predicted = predicted_ratio(*subjects.back(), batch),
                     .measured = found.value,
                     .low = found.interval.low,
                     .high = found.interval.high,
                     .quantity = fmt::format("time of the backward pass over the forward pass, one thread, n = {}",
                                             subjects.back()->size()),
                     .verdict = meets ? Verdict::kHolds : Verdict::kDiffers};
  if (!meets) {
    const bool under = found.value < kStatedLow;
    result.condition = fmt::format("{:.0f} % {} the stated range of {} to {}; ",
                                   100 * std::abs(found.value / (under ? kStatedLow : kStatedHigh) - 1),
                                   under ? "below" : "above", kStatedLow, kStatedHigh);
  }
  result.condition += fmt::format("one slope costs {:.2f} losses with a rank-one tangent, {:.2f} with a dense one",
                                  headline->rank_one.value, headline->dense.value);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim backward_cost_claim() {
  return {.id = "backward-cost",
          .statement = "A backward pass costs 2 to 4 times the forward pass",
          .timed = true,
          .weight = 3,
          .run = measure_backward_cost};
}

}  // namespace slopewise
