#include "apps/train/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/statistics/intervals.hpp"

namespace slopewise {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Batches of one measurement of the gradient's noise.
constexpr Index kMeasured = 4;
// A mean loss over the last steps of so many times that of guessing is beyond repair.
constexpr double kHopeless = 20;

std::string remedy(const TrainSettings& settings) {
  if (settings.method.name == "weights" || settings.method.name == "zeroth-order")
    return "lower --rate, raise --tangents, or bound the slopes with --clip-slope or --clip-quantile";
  return "lower --rate, or bound the gradient with --clip-norm";
}

void add_noise(Json& line, const TrainNoise& noise, bool checked) {
  const GradientNoise& g = noise.gradient;
  // Of ‖∇‖ = √(‖∇‖²), where an estimate of a square may be negative.
  const Interval square =
      student_t_interval(g.squared_norm, g.squared_norm_error, static_cast<double>(kMeasured - 1), 0.95);
  const auto root = [](double x) { return std::sqrt(std::max(0.0, x)); };
  line["gradient_norm"] = root(g.squared_norm);
  line["gradient_norm_low"] = root(square.low);
  line["gradient_norm_high"] = root(square.high);
  if (g.variance > 0) {
    line["snr"] = std::max(0.0, g.squared_norm) / g.variance;
    line["tangent_share"] = std::min(1.0, g.tangent_variance / g.variance);
    line["minibatch_share"] = std::max(0.0, 1 - g.tangent_variance / g.variance);
  }
  for (const auto& [site, share] : noise.residuals) line["residual"][site] = share;
  if (checked) line["cosine"] = g.cosine;
}

}  // namespace

std::optional<double> TrainOutcome::seconds_to(double accuracy) const {
  for (const CurvePoint& point : curve) {
    if (100 * (1 - point.test.error) >= accuracy) return point.seconds;
  }
  return std::nullopt;
}

TrainOutcome run_training(Trainer& trainer, const TrainLimits& limits, TrainOutcome so_far,
                          const TrainWatcher& watcher) {
  TrainOutcome outcome = std::move(so_far);
  const auto per_epoch = static_cast<double>(trainer.steps_per_epoch());
  const double guessing = std::log(static_cast<double>(trainer.classes()));
  const auto evaluation_at = [&](Index number) {  // the step of evaluation 1, 2, …
    return std::min(trainer.steps(),
                    static_cast<Index>(std::llround(limits.evaluate_every * per_epoch * static_cast<double>(number))));
  };
  Index evaluations = 1;
  while (evaluation_at(evaluations) <= trainer.step() && evaluation_at(evaluations) < trainer.steps()) ++evaluations;

  double since_log = 0, since_evaluation = 0, slopes = 0, log_seconds = 0;
  Index logged = 0, evaluated = 0;
  double recent = guessing;
  auto saved = Clock::now();
  const auto every = [&](Index steps) { return steps > 0 && trainer.step() % steps == 0; };
  const auto keep = [&](bool last) {
    if (watcher.checkpoint) watcher.checkpoint(outcome, last);
    saved = Clock::now();
  };
  while (trainer.step() < trainer.steps()) {
    if (interrupted()) {
      outcome.status = "interrupted";
      keep(true);
      return outcome;
    }
    const auto start = Clock::now();
    TrainStep step;
    try {
      step = trainer.advance();
    } catch (const NumericError& error) {
      outcome.status = "diverged";
      outcome.message = fmt::format("step {}: {}; {}", trainer.step() + 1, error.what(), remedy(trainer.settings()));
      return outcome;
    }
    const double taken = since(start);
    outcome.seconds += taken;
    log_seconds += taken;
    since_log += step.loss;
    since_evaluation += step.loss;
    slopes += step.slope ? *step.slope * *step.slope : 0;
    ++logged;
    ++evaluated;
    recent += 0.02 * (step.loss - recent);
    if (recent > kHopeless * guessing) {
      outcome.status = "diverged";
      outcome.message = fmt::format("step {}: the loss is {} on the average of the last steps; {}", trainer.step(),
                                    format_number(recent), remedy(trainer.settings()));
      return outcome;
    }
    const double epoch = static_cast<double>(trainer.step()) / per_epoch;
    const bool measure = every(limits.measure_every), checked = every(limits.check_every);
    if (every(limits.log_every) || measure || checked) {
      Json line{{"step", trainer.step()},     {"epoch", epoch},
                {"seconds", outcome.seconds}, {"loss", since_log / static_cast<double>(logged)},
                {"rate", step.rate},          {"step_ms", 1e3 * log_seconds / static_cast<double>(logged)}};
      if (step.slope) line["slope_rms"] = std::sqrt(slopes / static_cast<double>(logged));
      if (measure || checked) add_noise(line, trainer.measure(kMeasured, checked), checked);
      if (watcher.metrics) watcher.metrics(line);
      since_log = slopes = log_seconds = 0;
      logged = 0;
    }
    std::string note = fmt::format("loss {}", format_number(recent));
    if (trainer.step() == evaluation_at(evaluations)) {
      const Evaluation test = trainer.evaluate();
      outcome.curve.push_back({.step = trainer.step(),
                               .epoch = epoch,
                               .seconds = outcome.seconds,
                               .train_loss = since_evaluation / static_cast<double>(evaluated),
                               .test = test});
      since_evaluation = 0;
      evaluated = 0;
      ++evaluations;
      if (!std::isfinite(test.loss)) {
        outcome.status = "diverged";
        outcome.message =
            fmt::format("step {}: the test loss is not finite; {}", trainer.step(), remedy(trainer.settings()));
        return outcome;
      }
    }
    if (!outcome.curve.empty())
      note += fmt::format(", error {} %", format_number(100 * outcome.curve.back().test.error));
    if (watcher.advanced) watcher.advanced(1, note);
    if (limits.target_accuracy > 0 && outcome.seconds_to(limits.target_accuracy)) {
      outcome.status = "reached";
      break;
    }
    if (limits.seconds > 0 && outcome.seconds > limits.seconds) break;
    if (since(saved) >= limits.checkpoint_every) keep(false);
  }
  if (outcome.status.empty()) outcome.status = "finished";
  if (outcome.curve.empty() || outcome.curve.back().step != trainer.step()) {
    outcome.curve.push_back({.step = trainer.step(),
                             .epoch = static_cast<double>(trainer.step()) / per_epoch,
                             .seconds = outcome.seconds,
                             .train_loss = evaluated > 0 ? since_evaluation / static_cast<double>(evaluated) : 0,
                             .test = trainer.evaluate()});
  }
  keep(true);
  return outcome;
}

Index epochs_within(double seconds, Index most, TrainSettings settings, const DataSplit& data) {
  settings.epochs = most;
  Trainer trainer(settings, data);
  constexpr Index kWarming = 5, kTimed = 40;
  for (Index i = 0; i < std::min(kWarming, trainer.steps()); ++i) trainer.advance();
  const auto start = Clock::now();
  const Index timed = std::min(kTimed, trainer.steps() - trainer.step());
  for (Index i = 0; i < timed; ++i) trainer.advance();
  if (timed < 1) return most;
  const double epoch = since(start) / static_cast<double>(timed) * static_cast<double>(trainer.steps_per_epoch());
  return std::clamp(static_cast<Index>(seconds / epoch), Index{1}, most);
}

}  // namespace slopewise
