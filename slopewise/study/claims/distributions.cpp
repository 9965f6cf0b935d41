// Every law of tangents: its predicted total variance against the measured.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

// A frame of one direction is the sphere; several show what orthogonality gains.
constexpr Index kFrame = 16;
// Samples of a law, in a full run and in a quick one. ‖g‖² of some laws is so skewed that fewer tell nothing.
struct LawSamples {
  Index full, quick;
};

LawSamples samples_of(const std::string& law) {
  if (law == "frame") return {600, 250};
  return {12000, law == "coordinate" || law.starts_with("rank-one") ? 12000 : 2000};
}

// E‖g − ∇‖² from N estimates: E‖g‖² − ‖∇‖², as every law is unbiased.
Measured total_variance(const Subject& subject, const EstimatorOptions& options, Index count) {
  std::vector<double> norms(static_cast<std::size_t>(count));
  subject.objective().loss(subject.parameters());
  struct Worker {
    Worker(const Subject& of, const EstimatorOptions& with)
        : objective(of.objective()), estimator(make_estimator<float>("forward", of.layout(), with)) {}
    ProgramObjective<float> objective;
    std::unique_ptr<Estimator<float>> estimator;
  };
  PerThread<Worker> workers;
  parallel_for(count, [&](Index j) {
    check_interrupted("comparing tangent laws");
    Worker& worker = workers.own(subject, options);
    norms[j] = worker.estimator->estimate(worker.objective, subject.parameters(), static_cast<std::uint32_t>(j))
                   .squared_norm() -
               subject.gradient().squared_norm();
  });
  return mean_of(norms);
}

ClaimResult measure_distributions(StudyContext& context) {
  const Subject subject = context.small();
  Series series{.name = "laws",
                .columns = {"law", "tangents", "predicted variance / |grad|^2", "measured", "standard error"},
                .rows = {}};
  ClaimResult result;
  double furthest = -1;
  bool all = true;
  std::string names;
  const auto laws = static_cast<Index>(probe_names().size());
  for (std::size_t l = 0; l < probe_names().size(); ++l) {
    const std::string& law = probe_names()[l];
    const EstimatorOptions options{
        .law = law, .tangents = law == "frame" ? kFrame : 1, .seed = context.seed("distributions " + law)};
    const double predicted =
        make_estimator<float>("forward", subject.layout(), options)->total_variance(subject.gradient());
    const LawSamples samples = samples_of(law);
    const Measured measured = total_variance(subject, options, context.options().quick ? samples.quick : samples.full);
    const double square = subject.gradient().squared_norm();
    series.rows.push_back({static_cast<double>(l), static_cast<double>(options.tangents), predicted / square,
                           measured.value / square, measured.error / square});
    series.labels.push_back(law == "frame" ? fmt::format("frame of {}", kFrame) : law);
    names += fmt::format("{}{} = {}: {:.3f}", l > 0 ? ", " : "", l, law, measured.value / predicted);
    ClaimResult judged = judge("measured / predicted total variance, the law furthest off", 1,
                               {.value = measured.value / predicted,
                                .error = measured.error / predicted,
                                .degrees = measured.degrees,
                                .skewness = measured.skewness},
                               laws);
    all = all && judged.verdict == Verdict::kHolds;
    const double off = std::abs(measured.value - predicted) / measured.error;
    if (off <= furthest) continue;
    furthest = off;
    result = std::move(judged);
  }
  result.verdict = all ? Verdict::kHolds : Verdict::kFails;
  result.condition = fmt::format("n = {}; measured / predicted of {}", subject.size(), names);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim distributions_claim() {
  return {.name = "distributions",
          .statement = "Each law of tangents has the total variance that theory gives it",
          .equation = "",
          .weight = 5,
          .refusal = on_perceptrons("it takes some thousand estimates of each law, of a network of 8 units"),
          .run = measure_distributions};
}

}  // namespace slopewise
