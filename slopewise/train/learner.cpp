#include "slopewise/train/learner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/objective/body_objective.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/optimize/clip.hpp"
#include "slopewise/train/auto_rate_learner.hpp"

namespace slopewise {

namespace {

// Backprop within the block.
class ExactLearner final : public Learner {
 public:
  ExactLearner(const ChainBlock& block, const MethodSettings& settings, ExactLearner* like)
      : block_(block),
        checkpointed_(settings.checkpointed),
        precision_(of_values(settings.precision)),
        work_(like ? like->work_ : std::make_shared<Work>(block.program->size())) {}

  const Gradient& gradient(const Parameters<float>& parameters, const Batch<float>& batch, std::uint32_t,
                           std::optional<double>) override {
    if (!work_->runner || work_->runner->workload().batch < batch.rows)
      work_->runner.emplace(*block_.program, workload(batch.rows));
    loss_ = work_->runner->gradient(parameters, batch, work_->gradient.edit()).loss;
    return work_->gradient;
  }
  double loss() const override { return loss_; }
  std::span<const float> output() const override { return work_->runner->output(0); }
  Index step_bytes(Index batch) const override { return block_.program->memory(workload(batch)).total(); }
  double step_flops(Index batch) const override { return block_.program->cost(workload(batch)).flops(); }

 private:
  Workload workload(Index batch) const {
    return {.mode = Workload::Mode::kPullback,
            .batch = batch,
            .outputs = {block_.output},
            .precision = precision_,
            .checkpointed = checkpointed_};
  }
  struct Work {
    explicit Work(Index size) : gradient(size) {}
    std::optional<Runner<float>> runner;
    DenseGradient<float> gradient;
  };

  const ChainBlock& block_;
  bool checkpointed_;
  Precision precision_;
  std::shared_ptr<Work> work_;
  double loss_ = 0;
};

class ActivityLearner final : public Learner {
 public:
  ActivityLearner(const ChainBlock& block, ActivityOptions options, ActivityLearner* like)
      : estimator_(*block.program, block.sites, with_output(std::move(options), block),
                   like ? &like->estimator_ : nullptr) {}

  const Gradient& gradient(const Parameters<float>& parameters, const Batch<float>& batch, std::uint32_t step,
                           std::optional<double> pace) override {
    const ActivityGradient<float>& found = estimator_.estimate(parameters, batch, step, pace);
    loss_ = found.loss;
    double signal = 0;
    for (const ActivityNoise& noise : found.noise) signal += noise.signal;
    slope_ = std::sqrt(signal);
    return found;
  }
  double loss() const override { return loss_; }
  std::span<const float> output() const override { return estimator_.output(0); }
  std::optional<double> slope() const override {
    return estimator_.slopes() > 0 ? std::optional(slope_) : std::nullopt;
  }
  std::vector<double> residuals(const Parameters<float>& parameters, const Batch<float>& batch,
                                std::uint32_t step) override {
    std::vector<double> shares;
    if (estimator_.prior().name() == "none") return shares;
    for (const ActivityNoise& noise : estimator_.residuals(parameters, batch, step))
      shares.push_back(noise.signal > 0 ? noise.residual / noise.signal : 0);
    return shares;
  }
  Index slopes() const override { return estimator_.slopes(); }
  Index step_bytes(Index batch) const override { return estimator_.memory(batch).total(); }
  double step_flops(Index batch) const override { return estimator_.cost(batch).flops(); }
  void save(CheckpointWriter& file, const std::string& name) const override {
    const auto states = estimator_.state();
    for (std::size_t i = 0; i < states.size(); ++i) file.add(fmt::format("{}{}", name, i), states[i]);
  }
  void restore(CheckpointReader& file, const std::string& name) override {
    auto states = estimator_.state();
    for (std::size_t i = 0; i < states.size(); ++i) states[i] = file.state(fmt::format("{}{}", name, i), states[i]);
    estimator_.restore(states);
  }

 private:
  static ActivityOptions with_output(ActivityOptions options, const ChainBlock& block) {
    options.outputs = {block.output};
    return options;
  }

  ActivityEstimator<float> estimator_;
  double loss_ = 0, slope_ = 0;
};

// An estimator along tangents of the weights: of the body where the head is exact, else of all.
class WeightLearner final : public Learner {
 public:
  WeightLearner(const ChainBlock& block, const MethodSettings& settings, std::uint64_t seed)
      : block_(block), settings_(settings), gradient_(block.program->size()) {
    const std::string estimator = settings.name == "zeroth-order" ? "central" : settings.estimator;
    // Differences of losses move all of θ.
    if (settings.activity.exact_head && estimator != "central" && !block.sites.nodes.empty()) {
      body_ = std::make_unique<BodyObjective<float>>(*block.program, block.sites, settings.precision);
    } else {
      whole_ = std::make_unique<ProgramObjective<float>>(*block.program, Batch<float>{},
                                                         ObjectiveOptions{.precision = settings.precision});
    }
    EstimatorOptions options = settings.estimate;
    options.seed = seed;
    estimator_ = make_estimator<float>(estimator, objective().layout(), options);
    if (settings.clip_quantile < 1) quantile_.emplace(settings.clip_quantile);
  }

  const Gradient& gradient(const Parameters<float>& parameters, const Batch<float>& batch, std::uint32_t step,
                           std::optional<double> pace) override {
    body_ ? body_->bind(batch) : whole_->bind(batch);
    GradientEstimate estimate = estimator_->estimate(objective(), parameters, step);
    loss_ = estimate.loss();
    const std::vector<double> slopes = estimate.slopes();
    double squares = 0;
    for (const double s : slopes) squares += s * s;
    slope_ = slopes.empty() ? 0 : std::sqrt(squares / static_cast<double>(slopes.size()));
    if (pace) estimator_->learn(estimate);
    const double limit = std::min(settings_.clip_slope, quantile_ ? quantile_->limit() : settings_.clip_slope);
    if (std::isfinite(limit)) estimate.scale_coefficients(slope_factors(slopes, limit));
    const auto size = static_cast<std::size_t>(objective().size());
    estimate.materialize(gradient_.edit().subspan(0, size));
    if (body_) std::ranges::copy(body_->head_gradient(), gradient_.edit().begin() + static_cast<std::ptrdiff_t>(size));
    if (pace && quantile_) quantile_->watch(slopes);
    make_output(parameters, batch);
    return gradient_;
  }
  double loss() const override { return loss_; }
  std::span<const float> output() const override { return output_ ? output_->output(0) : std::span<const float>(); }
  std::optional<double> slope() const override { return slope_; }
  Index slopes() const override { return estimator_->slopes(); }
  Index step_bytes(Index batch) const override { return block_.program->memory(workload(batch)).total(); }
  double step_flops(Index batch) const override {
    const double loss = block_.program->cost({.batch = batch}).flops();
    const double differences = static_cast<double>(estimator_->losses()) * loss;
    return estimator_->slopes() > 0 ? differences + block_.program->cost(workload(batch)).flops() : differences;
  }
  void save(CheckpointWriter& file, const std::string& name) const override {
    file.add(name + "estimator", estimator_->state());
    if (quantile_) file.add(name + "clip", quantile_->state());
  }
  void restore(CheckpointReader& file, const std::string& name) override {
    estimator_->restore(file.state(name + "estimator", estimator_->state()));
    if (quantile_) quantile_->restore(file.state(name + "clip", quantile_->state()));
  }

 private:
  Workload workload(Index batch) const {
    Workload workload{
        .batch = batch, .tangents = std::max<Index>(estimator_->slopes(), 1), .precision = settings_.precision};
    workload.forms = make_probe(settings_.estimate.law, block_.program->layout(), 0)->forms();
    return workload;
  }
  Objective<float>& objective() {
    if (body_) return *body_;
    return *whole_;
  }
  // What the next block reads; an objective does not give it. The last block's output nobody reads.
  void make_output(const Parameters<float>& parameters, const Batch<float>& batch) {
    if (block_.output == block_.sites.logits) return;
    if (!output_ || output_->workload().batch < batch.rows)
      output_.emplace(
          *block_.program,
          Workload{.batch = batch.rows, .outputs = {block_.output}, .precision = of_values(settings_.precision)});
    output_->run(parameters, batch);
  }

  const ChainBlock& block_;
  MethodSettings settings_;
  std::unique_ptr<BodyObjective<float>> body_;
  std::unique_ptr<ProgramObjective<float>> whole_;
  std::unique_ptr<Estimator<float>> estimator_;
  std::optional<SlopeQuantile> quantile_;
  std::optional<Runner<float>> output_;
  DenseGradient<float> gradient_;
  double loss_ = 0, slope_ = 0;
};

}  // namespace

std::unique_ptr<Learner> make_learner(const MethodSettings& settings, const ChainBlock& block, std::uint64_t seed,
                                      Learner* like) {
  if (settings.name == "exact") {
    return std::make_unique<ExactLearner>(block, settings, dynamic_cast<ExactLearner*>(like));
  }
  if (settings.name == "activities") {
    ActivityOptions options = settings.activity;
    options.seed = seed;
    options.precision = settings.precision;
    return std::make_unique<ActivityLearner>(block, options, dynamic_cast<ActivityLearner*>(like));
  }
  if (settings.name == "weights" && settings.auto_rate) return auto_rate_learner(settings, block, seed);
  if (settings.name == "weights" || settings.name == "zeroth-order")
    return std::make_unique<WeightLearner>(block, settings, seed);
  throw ArgumentError(
      fmt::format("method '{}': expected one of exact, weights, zeroth-order, activities", settings.name));
}

}  // namespace slopewise
