// What estimators that work along K tangents share: the law, and one set of tangents whose memory serves every step.
#pragma once

#include <algorithm>
#include <type_traits>

#include "slopewise/base/memory.hpp"
#include "slopewise/estimate/estimator.hpp"

namespace slopewise::detail {

// E cos(g, ∇) along K tangents. For K = 1, cos² ~ Beta(1/2, (n − 1)/2), exactly so for rotation-invariant laws; for K
// Gaussian tangents Beta(K/2, (n − 1)/2); for K orthogonal ones and for a projection Beta(K/2, (n − K)/2). Laws whose
// slopes are nearly Gaussian come near; those along coordinates do not: NaN.
double mean_cosine(const Probe& probe, Index tangents, bool projected = false);

// What is known of g = (c/K) Σ_k s_k v_k along the law's tangents, c a constant.
template <class T>
class AlongLaw : public Estimator<T> {
 public:
  AlongLaw(const ParameterLayout& layout, const EstimatorOptions& options)
      : probe_(make_probe(options.law, layout, options.seed, options.law_options)), count_(options.tangents) {
    probe_->check_count(count_);
  }
  AnswerKinds asks() const override { return {.tangents = count_}; }
  std::vector<double> mean(const GradientView& gradient) const override {
    std::vector<double> mean(gradient.values().begin(), gradient.values().end());
    for (double& entry : mean) entry *= factor_;
    return mean;
  }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    std::vector<double> variances(static_cast<std::size_t>(gradient.size()));
    for (std::size_t i = 0; i < variances.size(); ++i)
      variances[i] = factor_ * factor_ * probe_->entry_variance(gradient, static_cast<Index>(i), count_);
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    return factor_ * factor_ * probe_->total_variance(gradient, count_);
  }
  double mean_cosine(const GradientView&) const override { return detail::mean_cosine(*probe_, count_); }

 protected:
  const std::shared_ptr<const Probe>& probe() const { return probe_; }
  Index count() const { return count_; }
  void scale(double factor) { factor_ = factor; }
  // The estimate from slopes along a draw of `probe()`.
  GradientEstimate estimate_from(Slopes found, std::shared_ptr<const Draw> draw) const {
    std::vector<double> coefficients = found.slopes;
    for (double& coefficient : coefficients) coefficient *= factor_ / static_cast<double>(count_);
    NoiseEstimate noise = estimate_noise(*probe_, found.slopes);
    noise.snr_low /= factor_ * factor_;
    noise.snr_high /= factor_ * factor_;
    return {std::move(found), std::move(coefficients), std::move(draw), noise};
  }

 private:
  std::shared_ptr<const Probe> probe_;
  Index count_;
  double factor_ = 1;
};

template <class T>
class TangentSource {
 public:
  // `dense`: the tangents that hold() is given have no structure, whatever the law's have.
  TangentSource(const ParameterLayout& layout, const EstimatorOptions& options, bool dense = false)
      : TangentSource(make_probe(options.law, layout, options.seed, options.law_options), options, dense) {}
  TangentSource(std::shared_ptr<const Probe> probe, const EstimatorOptions& options, bool dense = false)
      : probe_(std::move(probe)), count_(options.tangents), forms_(probe_->forms()) {
    const ParameterLayout& layout = probe_->layout();
    probe_->check_count(count_);
    if (dense) std::ranges::fill(forms_, TangentForm::kDense);
    const bool draw_again =
        options.storage == TangentStorage::kDrawn ||
        (options.storage == TangentStorage::kAuto && (probe_->quick_to_draw() || !fits_memory(layout.size)));
    if (!draw_again) return;
    for (const Block& block : layout.blocks) {
      TangentForm& form = forms_[block.weight];
      if (block.columns > 1 && form == TangentForm::kDense) form = TangentForm::kDrawn;
    }
  }

  const Probe& probe() const { return *probe_; }
  Index count() const { return count_; }
  // What the slopes along one step's tangents need, these among it.
  Demand demand(const Objective<T>& objective, int order = 1) const {
    Demand demand = objective.slopes_demand(forms_, count_, order);
    demand.bytes += bytes();
    return demand;
  }

  // Bytes of one step's tangents and of their draw.
  Index bytes() const {
    Index entries = 0;
    for (const Block& block : probe_->layout().blocks) {
      for (const Index segment : {block.weight, block.bias}) {
        if (segment < 0) continue;
        const TangentForm form = forms_[segment];
        if (form == TangentForm::kDense) entries += probe_->layout().segments[segment].size();
        if (form == TangentForm::kRankOne) entries += block.rows + block.columns;
      }
    }
    return count_ * (entries * static_cast<Index>(sizeof(T)) + probe_->draw_bytes());
  }

  // One step's draw and its tangents, which are valid until the next.
  struct Step {
    std::shared_ptr<const Draw> draw;
    const Tangents<T>& tangents;
  };
  Step draw(std::uint32_t step) { return hold(probe_->draw(step, count_)); }
  // The same for tangents made from the law's.
  Step hold(std::shared_ptr<const Draw> draw) {
    drawn_ = std::move(draw);
    // An estimate of an earlier step may still read its tangents.
    if (!tangents_ || tangents_.use_count() > 1)
      tangents_ = std::make_shared<Tangents<T>>(probe_->layout(), count_, forms_);
    drawn_->write(*tangents_);
    if constexpr (std::is_same_v<T, float>) return {stored_draw(drawn_, tangents_), *tangents_};
    return {drawn_, *tangents_};
  }

 private:
  bool fits_memory(Index size) const {
    return count_ <= available_memory() / 4 / std::max<Index>(size * static_cast<Index>(sizeof(T)), 1);
  }

  std::shared_ptr<const Probe> probe_;
  Index count_;
  std::vector<TangentForm> forms_;
  std::shared_ptr<const Draw> drawn_;
  std::shared_ptr<Tangents<T>> tangents_;
};

}  // namespace slopewise::detail
