#include "slopewise/train/auto_rate_learner.hpp"

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/estimate.hpp"
#include "slopewise/optimize/auto_rate.hpp"
#include "slopewise/optimize/clip.hpp"
#include "slopewise/probe/probe.hpp"
#include "slopewise/program/runner.hpp"
#include "slopewise/train/checkpoint.hpp"

namespace slopewise {
namespace {

// Second-order terms are taken in all of the first steps, in which curvature changes most, and then in one of so many.
constexpr Index kFirst = 50;
constexpr Index kEvery = 10;

class AutoRateLearner final : public Learner {
 public:
  AutoRateLearner(const MethodSettings& settings, const ChainBlock& block, std::uint64_t seed)
      : block_(block),
        count_(settings.estimate.tangents),
        precision_(settings.precision),
        probe_(make_probe(settings.estimate.law, block.program->layout(), seed)),
        tangents_(block.program->layout(), count_, probe_->forms()) {
    if (settings.estimator != "forward")
      throw ArgumentError("learning rate auto: expected the estimator 'forward', found '" + settings.estimator + "'");
    if (block.output != block.sites.logits) throw ArgumentError("learning rate auto: expected one block");
    probe_->check_count(count_);
  }

  const Gradient& gradient(const Parameters<float>& parameters, const Batch<float>& batch, std::uint32_t step,
                           std::optional<double> pace) override {
    const std::shared_ptr<const Draw> draw = probe_->draw(step, count_);
    draw->write(tangents_);
    const bool curved = pace && (seen_ < kFirst || seen_ % kEvery == 0);
    std::optional<Runner<float>>& runner = curved ? curved_ : plain_;
    if (!runner || runner->workload().batch < batch.rows) runner.emplace(*block_.program, workload(batch.rows, curved));
    const RunResult<float> found = runner->run(parameters, batch, &tangents_);
    loss_ = found.loss;
    const std::vector<double> factors = slope_factors(found.slopes, rate_.limit());
    clipped_ = std::count_if(factors.begin(), factors.end(), [](double factor) { return factor < 1; });
    std::vector<double> coefficients;
    double squares = 0;
    for (std::size_t k = 0; k < factors.size(); ++k) {
      squares += found.slopes[k] * found.slopes[k];
      coefficients.push_back(factors[k] * found.slopes[k] / static_cast<double>(count_));
    }
    slope_ = std::sqrt(squares / static_cast<double>(count_));
    if (pace) {
      if (curved) rate_.watch_curvature(found.slopes, found.curvatures);
      rate_.watch(found.slopes, found.example_slopes);
      ++seen_;
    }
    estimate_.emplace(found.loss, found.slopes, std::move(coefficients), draw, estimate_noise(*probe_, found.slopes));
    return *estimate_;
  }
  double loss() const override { return loss_; }
  std::span<const float> output() const override { return {}; }
  std::optional<double> slope() const override { return slope_; }
  std::optional<double> rate() const override { return rate_.rate(count_); }
  Index clipped() const override { return clipped_; }
  Index slopes() const override { return count_; }
  Index step_bytes(Index batch) const override { return block_.program->memory(workload(batch, true)).total(); }
  double step_flops(Index batch) const override {
    const double plain = block_.program->cost(workload(batch, false)).flops();
    const double curved = block_.program->cost(workload(batch, true)).flops();
    return plain + (curved - plain) / static_cast<double>(kEvery);
  }
  void save(CheckpointWriter& file, const std::string& name) const override {
    file.add(name + "rate", rate_.state());
    file.set(name + "seen", std::to_string(seen_));
  }
  void restore(CheckpointReader& file, const std::string& name) override {
    rate_.restore(file.state(name + "rate", rate_.state()));
    seen_ = file.get_integer(name + "seen");
  }

 private:
  Workload workload(Index batch, bool curved) const {
    return {
        .batch = batch, .tangents = count_, .order = curved ? 2 : 1, .forms = probe_->forms(), .precision = precision_};
  }

  const ChainBlock& block_;
  Index count_;
  Precision precision_;
  std::shared_ptr<const Probe> probe_;
  Tangents<float> tangents_;
  AutoRate rate_;
  Index seen_ = 0;  // steps of the run
  std::optional<Runner<float>> plain_, curved_;
  std::optional<GradientEstimate> estimate_;
  double loss_ = 0, slope_ = 0;
  Index clipped_ = 0;
};

}  // namespace

std::unique_ptr<Learner> auto_rate_learner(const MethodSettings& settings, const ChainBlock& block,
                                           std::uint64_t seed) {
  return std::make_unique<AutoRateLearner>(settings, block, seed);
}

}  // namespace slopewise
