// A prior m for the gradient as control variate, g = m + (s − m·v) v: with cos(m, ∇) = ρ at its best scale the total
// variance falls by 1 − ρ², to nothing at m = ∇: the note's "happy medium", in numbers.
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "slopewise/base/threads.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/tensor/random.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

constexpr double kCosines[] = {0, 0.5, 0.8, 0.9, 0.99, 1};
// What rounding in float32 slopes leaves of a variance that is 0: those of a small network carry about 1e-6 of ‖∇‖,
// their squares 1e-12; in a deep one, and where the gradients of examples cancel, more.
constexpr double kRounding = 1e-6;

// A direction of unit length orthogonal to the gradient.
std::vector<double> orthogonal_direction(const GradientView& gradient, std::uint64_t seed) {
  std::vector<double> direction(static_cast<std::size_t>(gradient.size()));
  fill_gaussian({.seed = seed}, 0, direction);
  const double along = dot(direction.data(), gradient.values().data(), gradient.size()) / gradient.squared_norm();
  axpy(-along, gradient.values().data(), direction.data(), gradient.size());
  const double norm = std::sqrt(dot(direction.data(), direction.data(), gradient.size()));
  for (double& entry : direction) entry /= norm;
  return direction;
}

ClaimResult measure_prior(StudyContext& context) {
  const std::optional<Subject> small = context.has_perceptrons() ? std::optional(context.small()) : std::nullopt;
  const Subject& subject = small ? *small : context.subject();
  const GradientView& gradient = subject.gradient();
  const auto n = static_cast<double>(subject.size());
  const double square = gradient.squared_norm();
  const auto probe = make_probe("gaussian", subject.layout(), context.seed("prior"));
  const std::vector<double> across = orthogonal_direction(gradient, context.seed("prior direction"));
  const Samples samples = draw_samples(subject, *probe, context.samples(8000, 500, sample_flops(subject)));
  // v·∇ and v·(the direction across), computed from the tangents; the slope s came from a forward pass.
  std::vector<double> along_gradient(samples.slopes.size()), along_across(samples.slopes.size());
  parallel_for(samples.count(), [&](Index j) {
    std::vector<double> v(static_cast<std::size_t>(gradient.size()));
    fill_tangent(*probe, samples, j, v);
    along_gradient[j] = dot(v.data(), gradient.values().data(), gradient.size());
    along_across[j] = dot(v.data(), across.data(), gradient.size());
  });

  Series series{.name = "priors",
                .columns = {"cos(m, grad)", "predicted variance / plain", "measured", "standard error"},
                .rows = {}};
  ClaimResult result;
  double furthest = -1;
  bool all = true;
  double at_gradient = 0;
  for (const double cosine : kCosines) {
    // m = ρ (ρ ∇ + √(1 − ρ²) ‖∇‖ e): at cosine ρ, with the best scale, ‖∇ − m‖² = (1 − ρ²) ‖∇‖².
    const double sine = std::sqrt(1 - cosine * cosine);
    std::vector<double> column(samples.slopes.size());
    for (std::size_t j = 0; j < column.size(); ++j) {
      const double residual =
          samples.slopes[j] - cosine * (cosine * along_gradient[j] + sine * std::sqrt(square) * along_across[j]);
      column[j] = (residual * residual * samples.squared_norms[j] - sine * sine * square) / ((n + 1) * square);
    }
    const double predicted = sine * sine;
    const Measured measured = mean_of(column);
    series.rows.push_back({cosine, predicted, measured.value, measured.error});
    if (cosine == 1) {
      at_gradient = measured.value;
      all = all && std::abs(measured.value) < kRounding;
      continue;
    }
    const Measured ratio{.value = measured.value / predicted,
                         .error = measured.error / predicted,
                         .degrees = measured.degrees,
                         .skewness = measured.skewness};
    all = all && ratio.interval(share_of_confidence(std::size(kCosines))).contains(1);
    if (std::abs(ratio.value - 1) / ratio.error <= furthest) continue;
    furthest = std::abs(ratio.value - 1) / ratio.error;
    result = judge("measured / predicted variance, the prior furthest off", 1, ratio, std::size(kCosines));
  }
  result.verdict = all ? Verdict::kHolds : Verdict::kFails;
  result.condition = fmt::format(
      "predicted 1 − cos² of the plain variance, at {} cosines; at m = ∇ {:.1e} of it is left (float32 rounding)",
      std::size(kCosines), at_gradient);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim prior_claim() {
  return {.name = "prior",
          .statement =
              "A prior of cosine ρ with the gradient, as control variate, leaves 1 − ρ² of the variance, and none "
              "at the gradient itself",
          .equation = "",
          .weight = 0.2,
          .run = measure_prior};
}

}  // namespace slopewise
