#include "slopewise/estimate/curvature.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Tangents of one pass of measure_curvature.
constexpr Index kTangents = 8;
// Of Hv by differences: how far θ moves, at most, over its own length, and by how much the gradient changes on the way,
// over its own; between the rounding of float32 gradients and the change of H.
constexpr double kMove = 1e-3, kChange = 0.03;

// The least number x for which so many eigenvalues of the symmetric tridiagonal matrix lie below x (Sturm's sequence).
std::size_t eigenvalues_below(std::span<const double> diagonal, std::span<const double> beside, double x) {
  std::size_t below = 0;
  double pivot = 1;
  for (std::size_t i = 0; i < diagonal.size(); ++i) {
    const double square = i > 0 ? beside[i - 1] * beside[i - 1] : 0;
    pivot = diagonal[i] - x - square / pivot;
    if (pivot == 0) pivot = -std::numeric_limits<double>::min();
    below += pivot < 0;
  }
  return below;
}

// The largest eigenvalue, by bisection, and the last entry of its eigenvector of length 1, by its recurrence.
std::pair<double, double> largest_eigenvalue(std::span<const double> diagonal, std::span<const double> beside) {
  double reach = 0;
  for (std::size_t i = 0; i < diagonal.size(); ++i) {
    reach = std::max(reach, std::abs(diagonal[i]) + (i > 0 ? std::abs(beside[i - 1]) : 0) +
                                (i < beside.size() ? std::abs(beside[i]) : 0));
  }
  double low = -reach, high = reach;
  for (int halving = 0; halving < 100; ++halving) {
    const double middle = low + (high - low) / 2;
    (eigenvalues_below(diagonal, beside, middle) == diagonal.size() ? high : low) = middle;
  }
  double before = 0, entry = 1, squares = 1;
  for (std::size_t i = 0; i + 1 < diagonal.size(); ++i) {
    const double next = ((high - diagonal[i]) * entry - (i > 0 ? beside[i - 1] * before : 0)) / beside[i];
    before = entry;
    entry = next;
    squares += next * next;
  }
  return {high, entry / std::sqrt(squares)};
}

double length_of(std::span<const float> x) {
  return std::sqrt(double{dot(x.data(), x.data(), static_cast<Index>(x.size()))});
}

}  // namespace

std::vector<double> sample_curvatures(Objective<float>& objective, const Parameters<float>& parameters, Index samples,
                                      std::uint64_t seed, Index tangents_at_once) {
  const std::shared_ptr<const Probe> probe = make_probe("gaussian", objective.layout(), seed);
  Tangents<float> tangents(objective.layout(), tangents_at_once, probe->forms());
  std::vector<double> found;
  for (std::uint32_t pass = 0; static_cast<Index>(found.size()) < samples; ++pass) {
    check_interrupted("measuring curvature");
    probe->draw(pass, tangents_at_once)->write(tangents);
    const std::vector<double> more = objective.curvatures(parameters, tangents).curvatures;
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

template <class T>
Slopes look_along(Objective<T>& objective, const Parameters<T>& parameters, const StepDirection& direction) {
  std::span<const T> entries = direction.gradient.held<T>();
  std::vector<T> written;
  if (entries.empty()) {
    written.resize(static_cast<std::size_t>(direction.gradient.size()));
    direction.gradient.materialize(std::span<T>(written));
    entries = written;
  }
  Tangents<T> tangent(objective.layout(), 1, direction_forms(objective.layout()));
  tangent.set_fill([entries](Index, Index first, std::span<T> out) {
    std::copy_n(entries.begin() + first, out.size(), out.begin());
  });
  Slopes found = objective.curvatures(parameters, tangent);
  found.slopes[0] *= direction.factor;
  found.curvatures[0] *= direction.factor * direction.factor;
  return found;
}

std::vector<TangentForm> direction_forms(const ParameterLayout& layout) {
  return std::vector<TangentForm>(layout.segments.size(), TangentForm::kDrawn);
}

template Slopes look_along(Objective<float>&, const Parameters<float>&, const StepDirection&);
template Slopes look_along(Objective<double>&, const Parameters<double>&, const StepDirection&);

double curvature_along(Objective<float>& objective, const Parameters<float>& parameters, std::span<const float> g) {
  return objective.curvatures(parameters, Tangents<float>::dense(objective.layout(), 1, g)).curvatures[0];
}

Curvature measure_curvature(Objective<float>& objective, const Parameters<float>& parameters,
                            const GradientView& gradient, Index samples, std::uint64_t seed) {
  const std::vector<double> curvatures = sample_curvatures(objective, parameters, samples, seed, kTangents);
  const std::vector<float> direction(gradient.values().begin(), gradient.values().end());
  const Curvature found{
      .trace = std::accumulate(curvatures.begin(), curvatures.end(), 0.0) / static_cast<double>(curvatures.size()),
      .along_gradient = curvature_along(objective, parameters, direction) / gradient.squared_norm()};
  if (!(found.along_gradient > 0 && found.trace + 2 * found.along_gradient > 0)) {
    throw NumericError(
        fmt::format("curvature: expected it to be positive on average and along the gradient, found tr H = {:.3g} and "
                    "{:.3g} for n = {}",
                    found.trace, found.along_gradient, gradient.size()));
  }
  return found;
}

// q_{j+1} β_j = H q_j − α_j q_j − β_{j−1} q_{j−1}. Without orthogonalising again, eigenvalues may be found twice, which
// does no harm to the largest. The residual of the Ritz vector is β_k times its last entry (Parlett 1980,
// section 13.2).
LargestCurvature largest_curvature(Objective<float>& objective, const Parameters<float>& parameters,
                                   std::span<const float> start, int steps) {
  const double length = length_of(start);
  if (!(length > 0)) throw ArgumentError("largest curvature: expected a start other than 0");
  const std::span<const float> theta = parameters.values();
  std::vector<float> current(start.begin(), start.end()), before(start.size()), ahead(start.size()),
      behind(start.size());
  for (float& entry : current) entry = static_cast<float>(entry / length);
  objective.gradient(parameters, ahead);
  const double change = kChange * length_of(ahead), farthest = kMove * std::max(1.0, length_of(theta));
  // The largest found so far, along the start exactly.
  double steepest = std::abs(curvature_along(objective, parameters, current));
  Parameters<float> moved = parameters;
  const auto gradient_at = [&](double distance, std::span<float> out) {
    const std::span<float> to = moved.edit();
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(theta[i] + distance * current[i]);
    objective.gradient(moved, out);
  };
  std::vector<double> diagonal, beside;
  double last = 0;
  for (int step = 0; step < steps; ++step) {
    check_interrupted("finding the largest curvature");
    const double move = steepest > 0 && change > 0 ? std::min(farthest, change / steepest) : farthest;
    gradient_at(move, ahead);
    gradient_at(-move, behind);
    for (std::size_t i = 0; i < ahead.size(); ++i)
      ahead[i] = static_cast<float>((double{ahead[i]} - double{behind[i]}) / (2 * move) - last * double{before[i]});
    diagonal.push_back(dot(ahead.data(), current.data(), static_cast<Index>(ahead.size())));
    steepest = std::max(steepest, std::abs(diagonal.back()));
    for (std::size_t i = 0; i < ahead.size(); ++i)
      ahead[i] = static_cast<float>(double{ahead[i]} - diagonal.back() * double{current[i]});
    last = length_of(ahead);
    if (!(last > 1e-6 * std::abs(diagonal.back()))) {
      last = 0;
      break;  // the start lies in the space of the eigenvectors found
    }
    if (step + 1 == steps) break;
    beside.push_back(last);
    before.swap(current);
    for (std::size_t i = 0; i < ahead.size(); ++i) current[i] = static_cast<float>(ahead[i] / last);
  }
  const auto [value, end] = largest_eigenvalue(diagonal, beside);
  return {.value = value, .error = last * std::abs(end)};
}

}  // namespace slopewise
