// Activity perturbation: tangents enter at hidden activities, one for each example, so that each example has a slope of
// its own and a layer's gradient is as noisy as it has units, not weights (Ren et al. 2022, arXiv 2210.03310).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "slopewise/estimate/activity_prior.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/probe/entries.hpp"

namespace slopewise {

// g_l = Σ_b δ_bl (∂h_bl/∂θ_l) / B with δ = m + α (1/K) Σ_k (s_k − u_k · m) u_k, m the prior (theory.md, "A prior for
// the gradient"). With α = 1, E[δ] = ∂loss/∂h whatever m is, and for entries of kurtosis κ
//   V[δ_bi] = (‖d_b‖² + (κ − 2) d_bi²) / K,  d = ∂loss/∂h − m, over the sites that share the slope.
// Between two sites, and before the first, must be one layer with weights: what is estimated at a site is
// differentiated exactly down to the site before.
template <class T>
class ActivityEstimator final : public Estimator<T> {
 public:
  // EstimatorOptions::law, tangents, seed, activity and exact_head count; with an estimated head tangents enter at the
  // logits as well. Throws ArgumentError for options out of range, and where there is nothing to estimate: no site, and
  // the head exact.
  ActivityEstimator(const EstimatorTarget& target, const EstimatorOptions& options);

  std::string_view name() const override { return "activities"; }
  // Of each example.
  Index slopes() const override { return planes(together_); }
  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override;
  bool dense() const override { return true; }
  Demand demand(Objective<T>& objective) const override;
  // Where sites are outputs, rectified or not, of linear layers that read vectors, and nothing else trains below the
  // last one; NaN elsewhere.
  std::shared_ptr<const Prediction> prediction(Objective<T>& objective, const Parameters<T>& parameters) override;
  // The variance depends on the gradients of examples, which ∇ does not tell: prediction() looks at them.
  std::vector<double> entry_variances(const GradientView& gradient) const override;
  double total_variance(const GradientView& gradient) const override;

  // The prior learns at the pace γ of the options times `pace`, or slower where so many entries share so few slopes
  // that it would not settle.
  void learn(const GradientEstimate& estimate, double pace) override;
  // Running means, and the prior.
  std::vector<StatePart> state() const override;
  void restore(const std::vector<StatePart>& state) override;
  // Empty without a prior.
  std::vector<double> residuals(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override;
  const ActivityPrior<T>& prior() const { return *prior_; }

  // ∂loss/∂h − m of every example of the objective's batch (B, size) at every site, and at the logits where their
  // gradient is estimated; 0 where no tangent enters. By a pass for each site.
  std::vector<std::vector<T>> missed(Objective<T>& objective, const Parameters<T>& parameters);

 private:
  // A pass that perturbs the sites together or one by one.
  struct Pass {
    bool together;
    Index planes;  // tangents of the pass
    std::uint32_t step;
    bool watching;              // the prior takes in what is found
    std::vector<double> alpha;  // one a site
  };
  // The rows of one visit, and where the prior, then the estimate goes: one a site.
  struct Visit {
    ActivityRows<T> seen;
    std::vector<std::span<T>> out;
  };
  // What a pass has seen: sums over examples while it runs, then means where it says so.
  struct Tally {
    double loss = 0;
    std::vector<ActivityNoise> noise;  // means; one for all sites where tangents enter together, else a site
    std::vector<double> active;        // units of an example, one a site
    double squared_errors = 0, fourth_errors = 0;  // Σ|e|² and Σ|e|⁴ of the examples' output errors
    std::vector<std::span<double>> sums();
  };
  // Σ over rows: s² and (s − u · m)² of each plane, active units of each site.
  struct Sums {
    std::vector<double> signal, residual, active;
  };
  bool in_stream() const;
  GivenOptions given_options(bool together) const;
  Tally blank_tally(bool together) const;
  GivenSums<T> sums_of(const Pass& pass, Tally& tally) const;
  Index planes(bool together) const;
  Pass make_pass(bool together, std::uint32_t step, bool watching) const;
  bool enters(Index plane, std::size_t site, bool together) const;
  bool masked(std::size_t site) const;
  void draw(const Pass& pass, std::size_t site, Index example, std::span<const T> value, std::span<T> out) const;
  void correct(const Pass& pass, std::size_t site, std::span<const T> residual_slopes, const T* u, Index batch,
               std::span<T> estimate, std::span<T> residual) const;
  Visit predict(const GivenView<T>& view, std::span<const T> error) const;
  Sums estimate_rows(const Pass& pass, const GivenView<T>& view, const Visit& visit, Index begin, Index end);
  void give(const Pass& pass, const GivenView<T>& view, Tally& tally);
  double gate_of(std::size_t site) const;
  Tally run(Objective<T>& objective, const GivenOptions& options, const Pass& pass, const Parameters<T>& parameters,
            std::span<T> out);
  std::vector<double> paces(double pace) const;
  void remember();

  const Program& program_;
  ActivitySites sites_;
  ActivityOptions options_;
  Index tangents_;  // K
  std::uint64_t seed_;
  bool together_, exact_head_;
  Entries law_;
  std::vector<Index> sizes_;  // of the sites, and of the logits where they are estimated
  std::unique_ptr<ActivityPrior<T>> prior_;
  Tally last_;  // of the last estimate
  std::uint32_t last_step_ = 0;

  std::vector<NamedVector<T>> running_;  // means over earlier batches: "signal", "residual", "active"
  Index seen_ = 0;                       // batches in them
};

}  // namespace slopewise
