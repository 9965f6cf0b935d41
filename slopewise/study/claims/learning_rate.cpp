// The highest learning rate at which a step with one forward gradient still descends on average: 1/n, the note says. On
// a quadratic it is 2/(tr H + 2∇ᵀH∇/‖∇‖²), so it falls as 1/(n + 2) where curvature is the same in all n directions,
// and need not fall at all where it is not.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/objective/function_objective.hpp"
#include "slopewise/statistics/fit.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr Index kQuadraticSamples = 8192;
constexpr Index kNetworkSamples = 1024;
constexpr Index kCurvatureSamples = 512;
// Ratio of the rates tried: between two of them the mean change over η is nearly a line.
constexpr double kRatio = 1.25;
constexpr int kMostSteps = 100;

// L = ½ Σ λ_i θ_i².
struct Quadratic {
  std::vector<double> curvatures;

  template <class S>
  S operator()(std::span<const S> theta) const {
    S sum(0.0);
    for (std::size_t i = 0; i < theta.size(); ++i) sum += curvatures[i] * (theta[i] * theta[i]);
    return 0.5 * sum;
  }
};

// Estimates of one gradient, and what steps along them do to the loss: the same estimates for every η.
template <class T>
class Steps {
 public:
  using Factory = std::function<std::unique_ptr<Objective<T>>()>;

  Steps(Factory make_objective, const Parameters<T>& parameters, std::string_view estimator, std::uint64_t seed,
        Index count)
      : make_objective_(std::move(make_objective)),
        parameters_(parameters),
        estimator_(estimator),
        seed_(seed),
        estimates_(static_cast<std::size_t>(count)) {
    loss_ = make_objective_()->loss(parameters_);  // packs the weights before threads read them
    parallel_for(count, [&](Index j) {
      check_interrupted("drawing gradient estimates");
      Worker& own = workers_.own(*this);
      estimates_[j] = own.estimator->estimate(*own.objective, parameters_, static_cast<std::uint32_t>(j));
    });
  }

  // L(θ − ηg) − L(θ) of each estimate g.
  std::vector<double> changes(double rate) {
    std::vector<double> found(estimates_.size());
    parallel_for(static_cast<Index>(found.size()), [&](Index j) {
      check_interrupted("stepping along gradient estimates");
      const auto at = static_cast<std::size_t>(j);
      Worker& own = workers_.own(*this);
      own.moved = parameters_;
      estimates_[at]->add_to(own.moved, -rate);
      found[at] = own.objective->loss(own.moved) - loss_;
    });
    return found;
  }

 private:
  struct Worker {
    explicit Worker(const Steps& steps)
        : objective(steps.make_objective_()),
          // So many estimates are kept that their tangents would not fit: they are drawn again for every step.
          estimator(make_estimator<T>(steps.estimator_, objective->layout(),
                                      {.law = "gaussian", .seed = steps.seed_, .storage = TangentStorage::kDrawn})),
          moved(steps.parameters_) {}
    std::unique_ptr<Objective<T>> objective;
    std::unique_ptr<Estimator<T>> estimator;
    Parameters<T> moved;
  };

  Factory make_objective_;
  const Parameters<T>& parameters_;
  std::string estimator_;
  std::uint64_t seed_;
  double loss_ = 0;
  std::vector<std::optional<GradientEstimate>> estimates_;
  PerThread<Worker> workers_;
};

// Two learning rates, and the changes of the loss at each: on average it falls at `low` and does not at `high`.
struct Bracket {
  double low = 0, high = 0;
  std::vector<std::vector<double>> changes;  // (2, samples)

  // The η at which the mean change is 0, from the mean changes at the two. On a quadratic change/η is a line.
  double zero(std::span<const double> means) const {
    const double at_low = means[0] / low;
    const double at_high = means[1] / high;
    return low - at_low * (high - low) / (at_high - at_low);
  }
};

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Walks from `start` until the mean change has turned its sign.
template <class T>
Bracket bracket(Steps<T> steps, double start) {
  double rate = start;
  std::vector<double> changes = steps.changes(rate);
  const bool falls = mean(changes) < 0;
  for (int step = 0; step < kMostSteps; ++step) {
    const double last_rate = rate;
    std::vector<double> last_changes = std::move(changes);
    rate *= falls ? kRatio : 1 / kRatio;
    changes = steps.changes(rate);
    if ((mean(changes) < 0) == falls) continue;
    if (falls) return {.low = last_rate, .high = rate, .changes = {std::move(last_changes), std::move(changes)}};
    return {.low = rate, .high = last_rate, .changes = {std::move(changes), std::move(last_changes)}};
  }
  throw NumericError(fmt::format("learning rate: the loss {} at every rate from {:.3g} to {:.3g}",
                                 falls ? "falls" : "rises", start, rate));
}

// One problem of a family.
struct RatePoint {
  double size;  // n
  double predicted;
  Bracket found;
  std::vector<double> more;  // further columns of the series

  Measured measured() const {
    return function_of_means(found.changes, [&](std::span<const double> means) { return found.zero(means); });
  }
};

// The exponent of the highest rate over n + 2, the law's own argument for isotropic curvature. Its error is that of the
// draws; problems are given.
Measured exponent(const std::vector<RatePoint>& points) {
  std::vector<std::vector<double>> columns;
  std::vector<double> x;
  for (const RatePoint& point : points) {
    columns.insert(columns.end(), point.found.changes.begin(), point.found.changes.end());
    x.push_back(std::log(point.size + 2));
  }
  return function_of_means(columns, [&](std::span<const double> means) {
    std::vector<double> y;
    for (std::size_t i = 0; i < points.size(); ++i)
      y.push_back(std::log(points[i].found.zero(means.subspan(2 * i, 2))));
    return fit_line(x, y).slope;
  });
}

// The same for isotropic curvature, where the law of the draws is known: with z = s/‖∇‖ and ‖v‖² = z² + W, W ~ χ²(n −
// 1), the highest rate over λ is 2 Σz² / Σz²(z² + W), whose logarithm has the variance 6(n + 6)/(n + 2)² over the
// number of samples. It is small where n is large, so those count; at n = 10 a few large z would decide.
Measured isotropic_exponent(const std::vector<RatePoint>& points) {
  std::vector<double> x, y, weights;
  for (const RatePoint& point : points) {
    x.push_back(std::log(point.size + 2));
    y.push_back(std::log(point.measured().value));
    weights.push_back(static_cast<double>(point.found.changes[0].size()) * (point.size + 2) * (point.size + 2) /
                      (6 * (point.size + 6)));
  }
  const LineFit line = fit_line(x, y, weights);
  return {.value = line.slope,
          .error = line.slope_error / line.scatter,  // weights are inverse variances
          .degrees = std::numeric_limits<double>::infinity()};
}

Series series(std::string name, const std::vector<RatePoint>& points, const std::vector<std::string>& more = {}) {
  Series series{.name = std::move(name), .columns = {"n", "predicted rate", "measured rate", "low", "high"}};
  series.columns.insert(series.columns.end(), more.begin(), more.end());
  for (const RatePoint& point : points) {
    const Measured measured = point.measured();
    const Interval interval = measured.interval(kClaimConfidence);
    std::vector<double> row = {point.size, point.predicted, measured.value, interval.low, interval.high};
    row.insert(row.end(), point.more.begin(), point.more.end());
    series.rows.push_back(std::move(row));
  }
  return series;
}

// The quadratic with λ_i = i^−decay, at θ = (1, …, 1).
RatePoint quadratic(StudyContext& context, Index n, double decay) {
  Quadratic loss;
  double gradient = 0, bend = 0, trace = 0;  // ‖∇‖², ∇ᵀH∇, tr H, with ∇_i = λ_i
  for (Index i = 1; i <= n; ++i) {
    const double curvature = std::pow(static_cast<double>(i), -decay);
    loss.curvatures.push_back(curvature);
    gradient += curvature * curvature;
    bend += curvature * curvature * curvature;
    trace += curvature;
  }
  const Curvature curvature{.trace = trace, .along_gradient = bend / gradient};
  const Parameters<double> theta(std::vector<double>(static_cast<std::size_t>(n), 1.0));
  Steps<double> steps([&] { return std::make_unique<FunctionObjective<Quadratic>>(loss, n); }, theta, "forward",
                      context.seed(fmt::format("learning rate, n = {}, decay {}", n, decay)),
                      context.samples(kQuadraticSamples));
  return {.size = static_cast<double>(n),
          .predicted = curvature.highest_rate(),
          .found = bracket(std::move(steps), curvature.highest_rate())};
}

RatePoint network(StudyContext& context, Index hidden) {
  const Subject subject = context.perceptron(std::span(&hidden, 1));
  const std::uint64_t seed = context.seed(fmt::format("learning rate, {} units", hidden));
  const Curvature curvature = subject.curvature(context.samples(kCurvatureSamples, 128), derive_seed(seed, 1));
  const auto objective = [&] { return std::make_unique<ProgramObjective<float>>(subject.objective()); };
  const Bracket exact =
      bracket(Steps<float>(objective, subject.parameters(), "exact", seed, 1), curvature.highest_exact_rate());
  Steps<float> steps(objective, subject.parameters(), "forward", seed, context.samples(kNetworkSamples));
  return {.size = static_cast<double>(subject.size()),
          .predicted = curvature.highest_rate(),
          .found = bracket(std::move(steps), curvature.highest_rate()),
          .more = {curvature.trace, curvature.along_gradient, curvature.effective_dimension(),
                   curvature.highest_exact_rate(), exact.zero(std::vector{exact.changes[0][0], exact.changes[1][0]})}};
}

std::string describe(const Measured& exponent) {
  const Interval interval = exponent.interval(kClaimConfidence);
  return fmt::format("{:.3f} ({:.3f} to {:.3f})", exponent.value, interval.low, interval.high);
}

ClaimResult measure_learning_rate(StudyContext& context) {
  std::vector<RatePoint> isotropic, decaying, networks;
  for (const Index n : {10, 30, 100, 300, 1000, 3000}) {
    isotropic.push_back(quadratic(context, n, 0));
    decaying.push_back(quadratic(context, n, 2));
  }
  std::vector<Index> widths = {8, 32, 128};
  if (!context.options().quick) widths.push_back(512);
  for (const Index hidden : widths) networks.push_back(network(context, hidden));

  const Measured of_isotropic = isotropic_exponent(isotropic);
  const Measured of_decaying = exponent(decaying);
  const Measured of_networks = exponent(networks);
  const RatePoint &least = networks.front(), &most = networks.back();
  constexpr Index kTests = 2;
  ClaimResult result =
      judge(fmt::format("exponent of the highest learning rate over n, perceptrons of n = {:.0f} to {:.0f}", least.size,
                        most.size),
            -1, of_networks, kTests);
  // What theory says: there it is 1/(n + 2).
  if (!of_isotropic.interval(share_of_confidence(kTests)).contains(-1)) {
    result.verdict = Verdict::kFails;
  } else if (result.verdict == Verdict::kFails) {
    result.verdict = Verdict::kDiffers;
  }
  double off = 0;
  for (const RatePoint& point : networks) off = std::max(off, std::abs(point.measured().value / point.predicted - 1));
  result.condition = fmt::format(
      "as 1/n where curvature is the same in all directions: there the exponent is {}; for curvatures 1/i² it is {}; "
      "the perceptrons' tr H goes from {:.0f} to {:.0f} and their rate stays within {:.0f} % of 2/(tr H + 2λ), λ the "
      "curvature along the gradient",
      describe(of_isotropic), describe(of_decaying), least.more[0], most.more[0], 100 * off);
  result.series = {series("isotropic quadratic", isotropic), series("quadratic with curvatures 1/i^2", decaying),
                   series("one hidden layer", networks,
                          {"tr H", "curvature along the gradient", "effective dimension", "predicted exact rate",
                           "measured exact rate"})};
  return result;
}

}  // namespace

Claim learning_rate_claim() {
  return {.name = "learning-rate",
          .statement = "The highest stable learning rate of forward gradients falls as 1/n",
          .weight = 8,
          .refusal = on_perceptrons("it compares networks of several sizes"),
          .run = measure_learning_rate};
}

}  // namespace slopewise
