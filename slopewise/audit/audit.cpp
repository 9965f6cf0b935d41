#include "slopewise/audit/audit.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

// The least time that is worth a trial.
constexpr double kLeastTrialSeconds = 1;
// Tangents of a step that ranks divide.
constexpr Index kRankTangents = 8;
// The most of all the time that timing steps takes, and again that timing ranks' shares of one does.
constexpr double kShareOfCosts = 0.12;
// How many times as many slopes say what exact gradients else do.
constexpr Index kMoreSlopes = 4;
// The least for their kurtosis, beside exact gradients.
constexpr Index kFewSlopes = 8;
// How many methods are tried beside backprop.
constexpr std::size_t kTried = 3;
// Shares of the progress bar.
constexpr double kRanksWeight = 0.05, kCostsWeight = 0.2, kNoiseWeight = 0.1, kOutlookWeight = 0.35, kTrialWeight = 0.3;

// Decrease of the first step that would have led where the trial is, falling in proportion to the loss.
double first_decrease(const Trial& trial) {
  const double start = trial.curve.front().loss, share = trial.decrease() / start;
  if (trial.status == "diverged" || trial.steps() == 0) return kUnknown;
  return share < 1 ? -std::log1p(-share) * start / static_cast<double>(trial.steps()) : start;
}

// Throws ArgumentError, naming the option.
void check(const AuditOptions& options, const AuditTask& task, std::span<const AuditMethod> known) {
  if (!(options.seconds >= kLeastTrialSeconds))
    throw ArgumentError(fmt::format("seconds: expected {} or more, found {}", kLeastTrialSeconds, options.seconds));
  if (options.samples < kFewSlopes)
    throw ArgumentError(fmt::format("samples: expected {} or more, found {}", kFewSlopes, options.samples));
  for (const std::string& name : options.tried) {
    if (std::ranges::find(known, name, &AuditMethod::name) != known.end()) continue;
    std::vector<std::string> names;
    for (const AuditMethod& method : known) names.push_back(method.name);
    throw ArgumentError(fmt::format("try: expected methods among '{}', found '{}'", fmt::join(names, "', '"), name));
  }
  for (const Index count : options.ranks) {
    if (count < 1) throw ArgumentError(fmt::format("ranks: expected 1 or more, found {}", count));
  }
  for (const Index batch : options.batches) {
    if (batch >= 1 && batch <= task.data.train.count()) continue;
    throw ArgumentError(fmt::format("--batches: expected 1 to {}, the training examples of {}, found {}",
                                    task.data.train.count(), task.data.train.name, batch));
  }
}

// A step of K rank-one tangents by many ranks, where one has room for it; backprop beside it likewise.
std::vector<AuditRanks> steps_by_ranks(const AuditTask& task, const AuditOptions& options, const AuditResult& result,
                                       double budget, const std::function<void(double)>& told) {
  const AuditMethod method{
      .name = {},
      .options = {},
      .settings = {
          .estimator = "forward", .options = {.law = "rank-one", .tangents = kRankTangents}, .exact_head = false}};
  const auto fits = [&](const char* name) {
    const MethodCost* const cost = result.cost(name, task.batch);
    return cost && (task.memory == 0 || cost->bytes() <= task.memory);
  };
  if (!fits("weights K=8")) return {};
  const bool exact = !task.forward_only && fits("backprop");
  const TrainSettings settings = settings_of(task, method, 1e-3);
  const auto probe = make_probe("rank-one", task.network.training.front().program->layout(), task.seed);
  std::vector<AuditRanks> found;
  for (const ScalePoint& point :
       predict_scale(settings, task.data, task.network, options.ranks, options.wire, exact, budget, told)) {
    found.push_back(
        {.step = point, .snr = probe->snr(kRankTangents).low, .snr_each = probe->snr(point.ranks * kRankTangents).low});
  }
  return found;
}

// By how much more than predicted the first trial brought the loss down. The way there is no longer as θ was, for all
// methods alike, so it stands for those that were not tried as well. 1 where nothing was tried, or it diverged.
double measured_over_predicted(const AuditResult& result) {
  if (result.trials.empty()) return 1;
  const MethodOutlook* const outlook = result.outlook_of(result.trials.front().method);
  const double ratio = outlook ? first_decrease(result.trials.front()) / outlook->decrease : kUnknown;
  return ratio > 0 ? ratio : 1;
}

MethodFigures figures_of(const AuditTask& task, const AuditResult& result, const AuditMethod& method) {
  const MethodCost& cost = *result.cost(method.name, task.batch);
  MethodFigures figures{.method = method.name,
                        .options = method.options,
                        .bytes = cost.bytes(),
                        .seconds = cost.seconds,
                        .decrease = kUnknown,
                        .slowdown = kUnknown,
                        .exact = method.exact()};
  if (const MethodOutlook* const outlook = result.outlook_of(method.name)) {
    figures.rate = outlook->rate;
    figures.decrease = outlook->decrease;
    figures.slowdown = outlook->slowdown();
  }
  const Trial* trial = result.trial(method.name);
  if (trial) {
    figures.rate = trial->rate;
    figures.measured = true;
  } else if (method.exact() && method.network == AuditMethod::Network::kWhole && !result.trials.empty() &&
             result.trials.front().rate == figures.rate) {
    trial = &result.trials.front();  // checkpointed or not, steps are the same
  }
  if (trial) {
    figures.decrease = first_decrease(*trial);
  } else {
    figures.decrease *= measured_over_predicted(result);
  }
  return figures;
}

std::vector<MethodFigures> join(std::vector<MethodFigures> first, const std::vector<MethodFigures>& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

// Those that are tried: backprop, whole or checkpointed, whichever fits; then those of the greatest predicted pace, and
// what nothing is predicted of, at the rate of activities, whose gradients it makes.
std::vector<MethodFigures> to_try(const AuditTask& task, const AuditOptions& options, const AuditResult& result) {
  const auto fits = [&](const MethodFigures& method) { return task.memory == 0 || method.bytes <= task.memory; };
  std::vector<MethodFigures> chosen, others;
  double rate_of_activities = 0;
  for (const AuditMethod& method : result.methods) {
    MethodFigures figures = figures_of(task, result, method);
    if (method.settings.estimator == "activities" && !method.biased() && method.network == AuditMethod::Network::kWhole)
      rate_of_activities = figures.rate;
    if (method.network == AuditMethod::Network::kLocal) figures.rate = rate_of_activities;
    if (!fits(figures) || !(figures.rate > 0) || !(figures.seconds > 0)) continue;
    if (method.exact() && method.network == AuditMethod::Network::kWhole) {
      if (chosen.empty()) chosen.push_back(figures);
    } else if (options.tried.empty() || std::ranges::find(options.tried, method.name) != options.tried.end()) {
      others.push_back(figures);
    }
  }
  if (!options.tried.empty()) return join(std::move(chosen), others);
  std::ranges::stable_sort(others, [](const MethodFigures& a, const MethodFigures& b) {
    const auto pace = [](const MethodFigures& of) { return std::isnan(of.decrease) ? kUnknown : of.pace(); };
    const double p = pace(a), q = pace(b);
    return std::isnan(p) != std::isnan(q) ? std::isnan(p) : p > q;
  });
  if (others.size() > kTried) others.resize(kTried);
  return join(std::move(chosen), others);
}

}  // namespace

const MethodCost* AuditResult::cost(const std::string& method, Index batch) const {
  const auto found =
      std::ranges::find_if(costs, [&](const MethodCost& cost) { return cost.method == method && cost.batch == batch; });
  return found == costs.end() ? nullptr : &*found;
}

const MethodOutlook* AuditResult::outlook_of(const std::string& method) const {
  const auto found = std::ranges::find(outlook.methods, method, &MethodOutlook::method);
  return found == outlook.methods.end() ? nullptr : &*found;
}

const Trial* AuditResult::trial(const std::string& method) const {
  const auto found = std::ranges::find(trials, method, &Trial::method);
  return found == trials.end() ? nullptr : &*found;
}

AuditResult run_audit(const AuditTask& task, const AuditOptions& options, const AuditWatcher& watcher) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const auto left = [&] { return options.seconds - std::chrono::duration<double>(Clock::now() - start).count(); };
  const auto advance = [&](double weight) { return [&, weight](double share) { watcher.advances(weight * share); }; };
  const std::vector<AuditMethod> known = audit_methods(task);
  check(options, task, known);
  watcher.begins("the loss");
  AuditSubject subject(task);
  AuditResult result{.parameters = subject.size(),
                     .examples = subject.examples(),
                     .loss = subject.loss(),
                     .least_bytes = subject.least_bytes(),
                     .methods = known};

  watcher.begins("costs");
  std::vector<Index> batches{task.batch};
  for (const Index batch : options.batches) {
    if (std::ranges::find(batches, batch) == batches.end()) batches.push_back(batch);
  }
  std::ranges::sort(batches);
  result.costs = measure_costs(task, result.methods, batches,
                               std::min(options.step_seconds, kShareOfCosts * options.seconds), advance(kCostsWeight));

  if (options.ranks.empty()) {
    watcher.advances(kRanksWeight);
  } else {
    watcher.begins("ranks");
    result.rank_tangents = kRankTangents;
    result.ranks = steps_by_ranks(
        task, options, result, std::min(options.step_seconds, kShareOfCosts * options.seconds), advance(kRanksWeight));
  }

  watcher.begins("noise");
  // Slopes alone say less of ∇, and cost less.
  const Index slopes = subject.reference() == Reference::kSlopes ? kMoreSlopes * options.samples
                                                                 : std::max(kFewSlopes, options.samples / 4);
  result.noise = measure_audit_noise(subject, slopes, task.seed);
  watcher.advances(kNoiseWeight);

  watcher.begins("curvature");
  // Looking at an estimate takes its direction, and the vector it is copied from.
  const auto observable = [&](const AuditMethod& method) {
    if (task.memory == 0) return true;
    // A network of another program is looked at beside this one.
    const Index beside = network_of(task, method).training.front().program == task.network.training.front().program
                             ? 0
                             : result.least_bytes;
    return result.cost(method.name, task.batch)->bytes() + 2 * result.parameters * Index{sizeof(float)} + beside <=
           task.memory;
  };
  result.outlook = measure_outlook(task, subject, result.noise, result.methods, observable, options.samples,
                                   advance(kOutlookWeight));

  if (options.verify) {
    const std::vector<MethodFigures> chosen = to_try(task, options, result);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      watcher.begins("trying " + chosen[i].method);
      const double budget = left() / static_cast<double>(chosen.size() - i);
      if (budget < kLeastTrialSeconds) break;
      const auto method = std::ranges::find(result.methods, chosen[i].method, &AuditMethod::name);
      result.trials.push_back(run_trial(task, *method, chosen[i].rate, (1 - options.fall) * result.loss, budget));
      watcher.advances(kTrialWeight / static_cast<double>(chosen.size()));
    }
  }
  for (const AuditMethod& method : result.methods) result.figures.push_back(figures_of(task, result, method));
  result.recommendation = recommend(result.figures, task.memory);
  if (!result.recommendation.best && !(result.noise.squared_norm.value > 0)) {
    result.recommendation.sentence =
        "The gradient is not told apart from the noise of mini-batches, so no method's progress is.";
    result.recommendation.changes = {"larger mini-batches (--batch), or more tangents (--samples)"};
  }
  return result;
}

}  // namespace slopewise
