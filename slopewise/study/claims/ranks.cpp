// What ranks bring: with K tangents of their own each, R of them leave the variance of R K tangents. The estimates are
// made of the pieces that ranks share in training, whoever evaluates them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/objective/pieces.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

struct RanksCase {
  Index ranks, tangents;  // R and K
  Divide divide;          // what is divided among them: their tangents, or the examples of tangents that they share
  Index all() const { return divide == Divide::kTangents ? ranks * tangents : tangents; }
};
constexpr RanksCase kRanksCases[] = {{1, 1, Divide::kTangents},  {2, 1, Divide::kTangents}, {4, 1, Divide::kTangents},
                                     {16, 1, Divide::kTangents}, {2, 4, Divide::kTangents}, {4, 4, Divide::kTangents},
                                     {4, 1, Divide::kExamples},  {4, 4, Divide::kExamples}};
// Slopes of each case: ‖g − ∇‖² along M tangents is nearly n/M² Σ s_k², and so nearly a multiple of a χ² with M degrees
// of freedom.
constexpr Index kRanksDegrees = 2000, kLeastRanksDegrees = 500;

// ‖g − ∇‖² of so many estimates.
std::vector<double> errors_by_ranks(const Subject& subject, const RanksCase& of, Index estimates, std::uint64_t seed) {
  struct Worker {
    Worker(const Subject& at, const RanksCase& cut, std::uint64_t with)
        : whole(at.objective()),
          pieced(whole, grid_of(cut.divide, cut.ranks, 1), {.tangents = cut.all()}),
          estimator(make_estimator<float>("forward", at.layout(), {.tangents = cut.all(), .seed = with})),
          estimate(static_cast<std::size_t>(at.size())) {
      pieced.bind(at.batch().batch());
    }
    ProgramObjective<float> whole;
    PiecedObjective<float> pieced;
    std::unique_ptr<Estimator<float>> estimator;
    std::vector<double> estimate;
  };
  const GradientView& gradient = subject.gradient();
  std::vector<double> errors(static_cast<std::size_t>(estimates));
  PerThread<Worker> workers;
  parallel_for(estimates, [&](Index number) {
    check_interrupted("estimating by ranks");
    Worker& own = workers.own(subject, of, seed);
    own.estimator->estimate(own.pieced, subject.parameters(), static_cast<std::uint32_t>(number))
        .materialize(own.estimate);
    for (Index i = 0; i < gradient.size(); ++i) {
      const double off = own.estimate[static_cast<std::size_t>(i)] - gradient[i];
      errors[static_cast<std::size_t>(number)] += off * off;
    }
  });
  return errors;
}

ClaimResult measure_ranks(StudyContext& context) {
  const Subject subject = context.small();
  const auto n = static_cast<double>(subject.size());
  const auto tests = static_cast<Index>(std::size(kRanksCases));
  Series series{.name = "ranks",
                .columns = {"ranks", "tangents of each", "tangents of all", "predicted SNR", "measured", "low", "high"},
                .rows = {}};
  ClaimResult result;
  bool all = true;
  double furthest = -1;
  for (const RanksCase& of : kRanksCases) {
    const bool tangents = of.divide == Divide::kTangents;
    const auto count = static_cast<double>(of.all());
    const double predicted = count / (n + 1);
    const Index estimates = (context.samples(kRanksDegrees, kLeastRanksDegrees) + of.all() - 1) / of.all();
    const double degrees = static_cast<double>(estimates) * count;
    const double error =
        mean_of(errors_by_ranks(subject, of, estimates,
                                context.seed(fmt::format("ranks {} {} {}", of.ranks, of.tangents, tangents))))
            .value;
    const Interval errors = scale_interval(degrees * error, degrees, share_of_confidence(tests));
    const double square = subject.gradient().squared_norm();
    const double measured = square / error, low = square / errors.high, high = square / errors.low;
    ClaimResult judged = judge("signal-to-noise ratio over that of ranks × tangents, the case furthest off", 1,
                               measured / predicted, {low / predicted, high / predicted});
    all = all && judged.verdict == Verdict::kHolds;
    series.rows.push_back(
        {static_cast<double>(of.ranks), static_cast<double>(of.tangents), count, predicted, measured, low, high});
    series.labels.push_back(tangents ? "tangents divided" : "examples divided");
    const double off = std::abs(std::log(measured / predicted)) * std::sqrt(degrees);
    if (off <= furthest) continue;
    furthest = off;
    result = std::move(judged);
  }
  result.verdict = all ? Verdict::kHolds : Verdict::kFails;
  result.condition = fmt::format(
      "ranks with tangents of their own, made by the pieces that ranks share in training; those that divide the "
      "examples of K tangents share these, and leave the ratio at K/(n + 1), n = {}",
      subject.size());
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim ranks_claim() {
  return {.name = "ranks",
          .statement =
              "R ranks with K tangents each raise the signal-to-noise ratio to R K times that of one tangent, and no "
              "more",
          .equation = "",
          .weight = 2,
          .refusal = on_perceptrons("it takes some ten thousand estimates, of a network of 8 units"),
          .run = measure_ranks};
}

}  // namespace slopewise
