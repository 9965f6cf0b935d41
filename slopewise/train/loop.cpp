#include "slopewise/train/loop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/json_text.hpp"
#include "slopewise/estimate/wrappers.hpp"
#include "slopewise/optimize/step_rate.hpp"
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
// Steps after which, at the earliest, it is said what a run can be expected to come to.
constexpr Index kForeseen = 20;
// A mean loss over the last steps of so many times that of guessing is beyond repair.
constexpr double kHopeless = 20;

std::string remedy(const TrainSettings& settings) {
  if (settings.method.estimator != "exact" && settings.method.estimator != "activities")
    return "lower --rate, raise --tangents, or bound the slopes with --clip-slope or --clip-quantile";
  return "lower --rate, or bound the gradient with --clip-norm";
}

Json to_json(const TrainSums& sums) {
  return {{"steps", sums.steps},
          {"loss", sums.loss},
          {"squared_slope", sums.squared_slope},
          {"seconds", sums.seconds},
          {"clipped", sums.clipped}};
}
TrainSums sums_from(const Json& json) {
  return {.steps = json.at("steps"),
          .loss = json.at("loss"),
          .squared_slope = json.at("squared_slope"),
          .seconds = json.at("seconds"),
          .clipped = json.at("clipped")};
}

CurvePoint curve_point(const Json& json) {
  return {.step = json.at("step"),
          .epoch = json.at("epoch"),
          .seconds = json.at("seconds"),
          .train_loss = json.at("train_loss"),
          .test = {.loss = json.at("test_loss"), .error = json.at("test_error")}};
}

}  // namespace

Json to_json(const CurvePoint& point) {
  return {{"step", point.step},           {"epoch", point.epoch},
          {"seconds", point.seconds},     {"train_loss", point.train_loss},
          {"test_loss", point.test.loss}, {"test_error", point.test.error}};
}

Json to_json(const TrainReach& reach) {
  return {{"step", reach.step}, {"loss", reach.loss}, {"decrease", reach.decrease}};
}

std::string progress_text(const TrainOutcome& outcome) {
  Json curve = Json::array();
  for (const CurvePoint& point : outcome.curve) curve.push_back(to_json(point));
  Json json{{"seconds", outcome.seconds},
            {"logged", to_json(outcome.logged)},
            {"evaluated", to_json(outcome.evaluated)},
            {"curve", std::move(curve)}};
  if (outcome.running_loss) json["running_loss"] = *outcome.running_loss;
  if (outcome.reach) json["reach"] = to_json(*outcome.reach);
  return json.dump();
}

TrainOutcome progress_from(const std::string& text, const std::string& source) {
  try {
    const Json json = parse_json(text, source);
    TrainOutcome outcome;
    outcome.seconds = json.at("seconds");
    outcome.logged = sums_from(json.at("logged"));
    outcome.evaluated = sums_from(json.at("evaluated"));
    if (json.contains("running_loss")) outcome.running_loss = json.at("running_loss").get<double>();
    if (json.contains("reach")) {
      const Json& reach = json.at("reach");
      outcome.reach = {.step = reach.at("step"), .loss = reach.at("loss"), .decrease = reach.at("decrease")};
    }
    for (const Json& point : json.at("curve")) outcome.curve.push_back(curve_point(point));
    return outcome;
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("{}: the run's progress: {}", source, error.what()));
  }
}

std::optional<double> TrainOutcome::seconds_to(double accuracy) const {
  // An error is a whole number of images over fewer than 10⁹; what lies within 10⁻⁹ of the bound is rounding.
  const double most = 1 - accuracy / 100 + 1e-9;
  for (const CurvePoint& point : curve) {
    if (point.test.error <= most) return point.seconds;
  }
  return std::nullopt;
}

void add_noise(Json& line, Trainer& trainer, bool against_exact) {
  const TrainNoise noise = trainer.measure(kMeasured, against_exact);
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
  for (const auto& [block, cosine] : noise.cosines) line["block_cosines"][block] = cosine;
  if (against_exact) line["cosine"] = g.cosine;
}

TrainOutcome run_training(Trainer& trainer, const TrainLimits& limits, TrainOutcome so_far,
                          const TrainWatcher& watcher) {
  TrainOutcome outcome = std::move(so_far);
  const auto per_epoch = static_cast<double>(trainer.steps_per_epoch());
  const double guessing = trainer.guessing_loss();
  // The step of evaluation 1, 2, …; at least one step apart, so that none is missed.
  const double apart = std::max(1.0, limits.evaluate_every * per_epoch);
  const auto evaluation_at = [&](Index number) {
    return static_cast<Index>(
        std::llround(std::min(static_cast<double>(trainer.steps()), apart * static_cast<double>(number))));
  };
  Index evaluations = 1;
  while (evaluation_at(evaluations) <= trainer.step() && evaluation_at(evaluations) < trainer.steps()) ++evaluations;

  const auto mean = [](double sum, const TrainSums& sums) { return sum / static_cast<double>(sums.steps); };
  std::optional<Json> noise;
  auto saved = Clock::now();
  const auto every = [&](Index steps) { return steps > 0 && trainer.step() % steps == 0; };
  const auto keep = [&] {
    if (watcher.checkpoint) watcher.checkpoint(outcome);
    saved = Clock::now();
  };
  const auto reached = [&] {
    return limits.target_accuracy > 0 && outcome.seconds_to(limits.target_accuracy).has_value();
  };
  const auto foresee = [&](const StepOutlook& steps) {
    outcome.reach = {.step = trainer.step(), .loss = *outcome.running_loss, .decrease = trainer.reach(steps)};
    if (watcher.foreseen) watcher.foreseen(*outcome.reach);
  };
  // Rates that were given are in units of the gradient where descent is plain and what it follows has its mean.
  const TrainSettings& settings = trainer.settings();
  const bool unbiased =
      !settings.method.options.per_deviation &&
      std::ranges::count(std::array{"exact", "forward", "central", "one-sided"}, settings.method.estimator) > 0;
  const bool plain = settings.optimizer == "sgd" && unbiased && trainer.network().training.size() == 1 &&
                     !settings.step_rate && !settings.method.options.auto_rate;
  const auto early = [&] { return !outcome.reach && trainer.step() <= trainer.steps() / 2; };
  const auto out_of_time = [&] { return limits.seconds > 0 && outcome.seconds > limits.seconds; };
  while (trainer.step() < trainer.steps() && !reached() && !out_of_time()) {
    if (interrupted()) {
      outcome.status = "interrupted";
      keep();
      return outcome;
    }
    const auto start = Clock::now();
    const auto diverged = [&](Index at, const NumericError& error) {
      outcome.status = "diverged";
      outcome.message = fmt::format("step {}: {}; {}", at, error.what(), remedy(trainer.settings()));
      return outcome;
    };
    TrainStep step;
    try {
      step = trainer.advance();
    } catch (const NumericError& error) {
      return diverged(trainer.step() + 1, error);
    } catch (const TeamError&) {
      if (trainer.whole()) keep();  // else the last checkpoint is, and the log where there is one
      throw;
    }
    const double taken = since(start);
    outcome.seconds += taken;
    for (TrainSums* sums : {&outcome.logged, &outcome.evaluated}) {
      ++sums->steps;
      sums->loss += step.loss;
      sums->squared_slope += step.slope ? *step.slope * *step.slope : 0;
      sums->seconds += taken;
      sums->clipped += step.clipped;
    }
    if (!outcome.running_loss) outcome.running_loss = std::isfinite(guessing) ? guessing : step.loss;
    double& recent = *outcome.running_loss;
    recent += 0.02 * (step.loss - recent);
    if (recent > kHopeless * guessing) {
      outcome.status = "diverged";
      outcome.message = fmt::format("step {}: the loss is {:.4g} on the average of the last steps; {}", trainer.step(),
                                    recent, remedy(trainer.settings()));
      return outcome;
    }
    if (early() && trainer.step() >= std::max(kForeseen, trainer.steps() / 50)) {
      if (const std::optional<StepOutlook> steps = trainer.outlook()) foresee(*steps);
    }
    const double epoch = static_cast<double>(trainer.step()) / per_epoch;
    const bool measure = every(limits.measure_every), checked = every(limits.check_every);
    if (every(limits.log_every) || measure || checked) {
      const TrainSums& sums = outcome.logged;
      Json line{{"step", trainer.step()},        {"epoch", epoch},    {"seconds", outcome.seconds},
                {"loss", mean(sums.loss, sums)}, {"rate", step.rate}, {"step_ms", 1e3 * mean(sums.seconds, sums)}};
      if (trainer.settings().method.options.auto_rate) line["clipped_slopes"] = sums.clipped;
      if (step.slope) line["slope_rms"] = std::sqrt(mean(sums.squared_slope, sums));
      if (measure || checked) {
        try {
          add_noise(line, trainer, checked);
        } catch (const NumericError& error) {  // the step before has led there
          return diverged(trainer.step(), error);
        }
        noise = line;
        if (plain && early()) foresee({.signal = std::pow(line.at("gradient_norm_high").get<double>(), 2), .bend = 0});
      }
      if (watcher.metrics) watcher.metrics(line);
      outcome.logged = {};
    }
    if (trainer.step() == evaluation_at(evaluations)) {
      const Evaluation test = trainer.evaluate();
      outcome.curve.push_back({.step = trainer.step(),
                               .epoch = epoch,
                               .seconds = outcome.seconds,
                               .train_loss = mean(outcome.evaluated.loss, outcome.evaluated),
                               .test = test});
      outcome.evaluated = {};
      ++evaluations;
      if (!std::isfinite(test.loss)) {
        outcome.status = "diverged";
        outcome.message =
            fmt::format("step {}: the test loss is not finite; {}", trainer.step(), remedy(trainer.settings()));
        return outcome;
      }
    }
    if (watcher.advanced) {
      watcher.advanced({.loss = recent,
                        .error = outcome.curve.empty() ? std::nullopt : std::optional(outcome.curve.back().test.error),
                        .noise = noise ? &*noise : nullptr});
    }
    if (since(saved) >= limits.checkpoint_every) keep();
  }
  outcome.status = reached() ? "reached" : "finished";
  if (outcome.curve.empty() || outcome.curve.back().step != trainer.step()) {
    outcome.curve.push_back({.step = trainer.step(),
                             .epoch = static_cast<double>(trainer.step()) / per_epoch,
                             .seconds = outcome.seconds,
                             .train_loss = mean(outcome.evaluated.loss, outcome.evaluated),
                             .test = trainer.evaluate()});
  }
  keep();
  return outcome;
}

double epoch_seconds(TrainSettings settings, const DataSplit& data, const Network& network) {
  // A rate that is given becomes one that moves θ next to nothing: the same work, and no step diverges. One that is
  // found is found in more of the first steps than later.
  settings.rate *= 1e-9;
  settings.final_rate *= 1e-9;
  Trainer trainer(settings, data, network);
  constexpr Index kWarming = 5, kTimed = 40;
  const Index unlike = settings.step_rate                  ? StepRate::kFirst
                       : settings.method.options.auto_rate ? kFirstCurved
                                                           : kWarming;
  const Index warming = std::min(unlike, trainer.steps() - 1);
  for (Index i = 0; i < warming; ++i) trainer.advance();
  const auto start = Clock::now();
  const Index timed = std::min(kTimed, trainer.steps() - warming);
  for (Index i = 0; i < timed; ++i) trainer.advance();
  return since(start) / static_cast<double>(timed) * static_cast<double>(trainer.steps_per_epoch());
}

Index epochs_within(double seconds, double epoch, Index most) {
  return std::clamp(static_cast<Index>(seconds / epoch), Index{1}, most);
}

}  // namespace slopewise
