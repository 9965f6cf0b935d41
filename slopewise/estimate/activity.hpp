// Activity perturbation: tangents enter at hidden activities, one for each example, so that each example has a slope of
// its own and a layer's gradient is as noisy as it has units, not weights (Ren et al. 2022, arXiv 2210.03310).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "slopewise/estimate/activity_prior.hpp"
#include "slopewise/probe/entries.hpp"
#include "slopewise/program/runner.hpp"
#include "slopewise/tensor/gradient.hpp"

namespace slopewise {

// How much of the residual that the slopes measure is added to the prior.
enum class Correction {
  kFull,   // all: unbiased
  kGated,  // α = min(1, √(τ K S / (n V))) of it at a site of n active units, V and S running means of the squared
           // residual slope and slope of earlier batches: its noise then is at most τ of the signal; biased where α < 1
  kNone,  // nothing: the prior alone, which has the prior's bias
};

struct ActivityOptions {
  std::string law = "rademacher";  // of the tangents' entries: one of entries.hpp
  Index tangents = 1;              // K, of each example; 0 where the prior is neither corrected nor taught
  std::uint64_t seed = 1;
  std::string prior = "none";  // activity_prior.hpp
  Correction correction = Correction::kFull;
  double gate = 0.1;  // τ
  // All sites at once, with one slope for their sum: K tangents. Or each site alone: K for each.
  bool together = true;
  // The gradient of what follows the last site: exact, (p − y) aᵀ, as both factors are known on the way forward; or
  // estimated as the sites' are, from tangents of the logits.
  bool exact_head = true;
  Precision precision = Precision::kFloat32;
  // Nodes whose values are wanted beside the gradient.
  std::vector<Index> outputs = {};
};

// What the slopes of one pass say.
struct ActivityNoise {
  double signal = 0;  // mean over examples and tangents of s²: unbiased for E‖∂loss/∂h‖², its sites together
  double residual = 0;  // of (s − u · m)²: unbiased for E‖∂loss/∂h − m‖²
};

template <class T>
class ActivityGradient final : public DenseGradient<T> {
 public:
  using DenseGradient<T>::DenseGradient;
  double loss = 0;
  // One for all sites where tangents enter together, else one a site.
  std::vector<ActivityNoise> noise;
  // Predicted E‖δ − E δ‖² of one example's estimated activity gradients δ, all sites, from the slopes alone: Σ α² n V /
  // K, which is exact for Rademacher entries but for the share of V that each entry makes itself.
  double variance = 0;
};

// g_l = Σ_b δ_bl (∂h_bl/∂θ_l) / B with δ = m + α (1/K) Σ_k (s_k − u_k · m) u_k, m the prior (theory.md, "A prior for
// the gradient"). With α = 1, E[δ] = ∂loss/∂h whatever m is, and for entries of kurtosis κ
//   V[δ_bi] = (‖d_b‖² + (κ − 2) d_bi²) / K,  d = ∂loss/∂h − m, over the sites that share the slope.
template <class T>
class ActivityEstimator {
 public:
  // The program must outlive the estimator. Between two sites, and before the first, must be one layer with weights:
  // what is estimated at a site is differentiated exactly down to the site before. Throws ArgumentError for options out
  // of range, and where there is nothing to estimate: no site, and the head exact.
  // `like`: an estimator for the same program and options but the seed, with which it shares the memory of a pass; what
  // one returns is then valid until the next estimate of either.
  ActivityEstimator(const Program& program, ActivitySites sites, ActivityOptions options,
                    const ActivityEstimator* like = nullptr);

  // The estimate at θ, valid until the next; `step` picks the tangents. The prior then learns at the pace γ,
  // or slower where so many entries share so few slopes that it would not settle. Without a pace nothing is learnt or
  // remembered. Throws as Runner::given does.
  const ActivityGradient<T>& estimate(const Parameters<T>& parameters, const Batch<T>& batch, std::uint32_t step,
                                      std::optional<double> pace);
  // The noise that this estimate would report with every site perturbed alone, so one entry a site, whatever the
  // estimator's own way; nothing learns.
  std::vector<ActivityNoise> residuals(const Parameters<T>& parameters, const Batch<T>& batch, std::uint32_t step);
  // Values (B, size) of the i-th of the options' outputs in the last estimate.
  std::span<const T> output(std::size_t i) const { return work_->runner->output(i); }
  // Slopes of one estimate, for each example.
  Index slopes() const { return planes(options_.together); }
  MemoryReport memory(Index batch) const;
  CostReport cost(Index batch) const;
  const ActivityPrior<T>& prior() const { return *prior_; }

  // Prior and running means, for checkpoints.
  std::vector<StateView<T>> state() const;
  void restore(const std::vector<StateView<T>>& state);

 private:
  // A pass that perturbs the sites together or one by one.
  struct Pass {
    bool together;
    Index planes;  // tangents of the pass
    std::uint32_t step;
    bool learning;
    std::vector<double> alpha;  // one a site
  };
  // The rows of one visit, and where the prior, then the estimate goes: one a site.
  struct Visit {
    ActivityRows<T> seen;
    std::vector<std::span<T>> out;
  };
  // What a pass has seen.
  struct Tally {
    double loss = 0;
    std::vector<ActivityNoise> noise;              // one for all sites where tangents enter together, else one a site
    std::vector<double> active;                    // units of an example, one a site
    double squared_errors = 0, fourth_errors = 0;  // Σ|e|² and Σ|e|⁴ of the examples' output errors
  };
  // Σ over rows: s² and (s − u · m)² of each plane, active units of each site.
  struct Sums {
    std::vector<double> signal, residual, active;
  };
  Workload workload(Index batch, bool together) const;
  Index planes(bool together) const;
  Pass make_pass(bool together, std::uint32_t step, bool learning) const;
  bool enters(Index plane, std::size_t site, bool together) const;
  bool masked(std::size_t site) const;
  void draw(const Pass& pass, std::size_t site, Index example, std::span<const T> value, std::span<T> out) const;
  void correct(const Pass& pass, std::size_t site, std::span<const T> residual_slopes, const T* u, Index batch,
               std::span<T> estimate, std::span<T> residual) const;
  Sums estimate_rows(const Pass& pass, const GivenView<T>& view, const Visit& visit, Index begin, Index end);
  void give(const Pass& pass, const GivenView<T>& view, Tally& tally);
  double gate_of(std::size_t site) const;
  Tally run(Runner<T>& runner, const Pass& pass, const Parameters<T>& parameters, const Batch<T>& batch,
            std::span<T> out);
  std::vector<double> paces(const Tally& tally, double pace) const;
  void remember(const Tally& tally);

  const Program& program_;
  ActivitySites sites_;
  ActivityOptions options_;
  Entries law_;
  std::vector<Index> sizes_;  // of the sites, and of the logits where they are estimated
  std::unique_ptr<ActivityPrior<T>> prior_;
  struct Work {
    explicit Work(Index size) : gradient(size) {}
    std::optional<Runner<T>> runner;
    ActivityGradient<T> gradient;
    std::vector<std::vector<T>> residual;  // (rows, size) of each site, for a prior that learns
  };
  std::shared_ptr<Work> work_;

  std::vector<NamedVector<T>> running_;  // means over earlier batches: "signal", "residual", "active"
  Index seen_ = 0;                       // batches in them
};

}  // namespace slopewise
