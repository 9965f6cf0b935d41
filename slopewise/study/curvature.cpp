#include "slopewise/study/curvature.hpp"

#include <fmt/format.h>

#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"

namespace slopewise {
namespace {

// Tangents of one pass.
constexpr Index kTangents = 8;

}  // namespace

Curvature measure_curvature(const Subject& subject, Index samples, std::uint64_t seed) {
  ProgramObjective<float> objective = subject.objective();
  const std::shared_ptr<const Probe> probe = make_probe("gaussian", subject.layout(), seed);
  Tangents<float> tangents(subject.layout(), kTangents, probe->forms());
  const Index passes = (samples + kTangents - 1) / kTangents;
  double sum = 0;
  for (Index pass = 0; pass < passes; ++pass) {
    check_interrupted("measuring curvature");
    probe->draw(static_cast<std::uint32_t>(pass), kTangents)->write(tangents);
    const std::vector<double> found = objective.curvatures(subject.parameters(), tangents).curvatures;
    sum = std::accumulate(found.begin(), found.end(), sum);
  }
  const GradientView& gradient = subject.gradient();
  const std::vector<float> direction(gradient.values().begin(), gradient.values().end());
  const auto along = Tangents<float>::dense(subject.layout(), 1, direction);
  const Curvature found{
      .trace = sum / static_cast<double>(passes * kTangents),
      .along_gradient = objective.curvatures(subject.parameters(), along).curvatures[0] / gradient.squared_norm()};
  if (!(found.along_gradient > 0 && found.highest_rate() > 0)) {
    throw NumericError(
        fmt::format("curvature: expected it to be positive on average and along the gradient, found tr H = {:.3g} and "
                    "{:.3g} for n = {}",
                    found.trace, found.along_gradient, subject.size()));
  }
  return found;
}

}  // namespace slopewise
