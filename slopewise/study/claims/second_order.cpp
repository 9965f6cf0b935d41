// Slope s = ∇·v and second-order term c = vᵀHv of one visit: E[c] = tr H, and along v a quadratic is least after the
// step η = 1/c, lower by s²/2c. The best rate for all tangents, 1/(tr H + 2λ), lowers it by ‖∇‖² / 2(tr H + 2λ) on
// average, and never by more: (E s²)² ≤ E[s²/c] E[s²c], and E[s²c] = ‖∇‖² (tr H + 2λ).
#include <fmt/format.h>

#include <numeric>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "slopewise/optimize/line_search.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr Index kTangentSamples = 8192;
// A line search goes at most this many times as far as the highest rate for all tangents.
constexpr double kReach = 100;

// tr H from the tangents that are the axes.
double exact_trace(const Subject& subject) {
  const auto n = static_cast<std::size_t>(subject.size());
  std::vector<float> axes(n * n);
  for (std::size_t i = 0; i < n; ++i) axes[i * n + i] = 1;
  const auto tangents = Tangents<float>::dense(subject.layout(), subject.size(), axes);
  ProgramObjective<float> objective = subject.objective();
  const std::vector<double> found = objective.curvatures(subject.parameters(), tangents).curvatures;
  return std::accumulate(found.begin(), found.end(), 0.0);
}

struct SecondOrderWorker {
  SecondOrderWorker(const Subject& subject, const Probe& probe)
      : objective(subject.objective()), tangents(probe.layout(), 1, probe.forms()), moved(subject.parameters()) {}
  ProgramObjective<float> objective;
  Tangents<float> tangents;
  Parameters<float> moved;
};

ClaimResult measure_second_order(StudyContext& context) {
  const Subject subject = context.tiny();
  const GradientView& gradient = subject.gradient();
  const std::vector<float> direction(gradient.values().begin(), gradient.values().end());
  const auto along = Tangents<float>::dense(subject.layout(), 1, direction);
  const Curvature curvature{
      .trace = exact_trace(subject),
      .along_gradient =
          subject.objective().curvatures(subject.parameters(), along).curvatures[0] / gradient.squared_norm()};
  const double fixed_rate = curvature.highest_rate() / 2;

  const auto probe = make_probe("gaussian", subject.layout(), context.seed("second-order"));
  const Index count = context.samples(kTangentSamples, 2000);
  std::vector<double> curvatures(static_cast<std::size_t>(count));
  // How far the loss falls: after the step 1/c along v and as s²/2c says; after the step of the fixed rate.
  std::vector<std::vector<double>> falls(3, std::vector<double>(curvatures.size()));
  PerThread<SecondOrderWorker> workers;
  parallel_for(count, [&](Index j) {
    check_interrupted("searching along tangents");
    SecondOrderWorker& own = workers.own(subject, *probe);
    const auto at = static_cast<std::size_t>(j);
    const auto draw = probe->draw(static_cast<std::uint32_t>(j), 1);
    draw->write(own.tangents);
    const Slopes found = own.objective.curvatures(subject.parameters(), own.tangents);
    const double slope = found.slopes[0];
    curvatures[at] = found.curvatures[0];
    const auto fall = [&](double rate) {
      own.moved = subject.parameters();
      draw->add_to(std::vector{-rate * slope}, own.moved);
      return subject.loss() - own.objective.loss(own.moved);
    };
    const double rate = line_search_rate(curvatures[at], kReach * curvature.highest_rate());
    falls[0][at] = fall(rate);
    falls[1][at] = rate * slope * slope * (1 - rate * curvatures[at] / 2);
    falls[2][at] = fall(fixed_rate);
  });

  constexpr Index kTests = 2;
  ClaimResult result = judge("mean of vᵀHv over Gaussian tangents", curvature.trace, mean_of(curvatures), kTests);
  const Measured gain = function_of_means(falls, [](std::span<const double> mean) { return mean[0] / mean[2]; });
  const Interval interval = gain.interval(share_of_confidence(kTests));
  if (interval.high < 1) {
    result.verdict = Verdict::kFails;
  } else if (interval.low <= 1 && result.verdict == Verdict::kHolds) {
    result.verdict = Verdict::kUndecided;
  }
  const Measured searched = mean_of(falls[0]), expected = mean_of(falls[1]), fixed = mean_of(falls[2]);
  const double fixed_expected = fixed_rate * gradient.squared_norm() / 2;
  result.condition = fmt::format(
      "on a network of {} parameters with tr H / λ = {:.1f}; the step s/c descends {:.2f} ({:.2f} to {:.2f}) times as "
      "far "
      "as that of the best rate for all tangents; measured over predicted descent, 1 on a quadratic: {:.3f} and {:.3f}",
      subject.size(), curvature.effective_dimension(), gain.value, interval.low, interval.high,
      searched.value / expected.value, fixed.value / fixed_expected);
  result.series.push_back(
      {.name = "steps",
       .columns = {"predicted descent / loss", "measured", "standard error"},
       .rows = {{fixed_expected / subject.loss(), fixed.value / subject.loss(), fixed.error / subject.loss()},
                {expected.value / subject.loss(), searched.value / subject.loss(), searched.error / subject.loss()}},
       .labels = {"best fixed rate", "line search"}});
  return result;
}

}  // namespace

Claim second_order_claim() {
  return {.name = "second-order",
          .statement =
              "Second-order terms of the same forward pass have the mean E[vᵀHv] = tr H, and the step s/vᵀHv "
              "descends further than the best rate for all tangents",
          .equation = "",
          .weight = 2,
          .refusal = on_perceptrons("it takes the curvature along every axis, of a network of 170 parameters"),
          .run = measure_second_order};
}

}  // namespace slopewise
