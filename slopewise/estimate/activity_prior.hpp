// Priors for activity perturbation: what the gradient of an example's loss by its activities is expected to be, before
// the slopes of the pass are known. They learn from earlier batches alone, so that the corrected estimate stays
// unbiased.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/program/program.hpp"
#include "slopewise/program/sites.hpp"
#include "slopewise/tensor/parameters.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

// The rows of one visit: e = ∂loss/∂logits (rows, classes) of each example, and the sites' values (rows, size).
template <class T>
struct ActivityRows {
  Index rows = 0;
  std::span<const T> error;
  std::vector<std::span<const T>> values;
};

template <class T>
class ActivityPrior {
 public:
  virtual ~ActivityPrior() = default;
  virtual std::string_view name() const = 0;
  // Before the visits of one pass at θ. What was watched and not learnt is forgotten.
  virtual void begin(const Parameters<T>&) {}
  // Writes m = E[∂loss/∂h] (rows, size) for every site.
  virtual void predict(const ActivityRows<T>& seen, std::span<const std::span<T>> out) const = 0;
  // Whether watch() wants the residuals.
  virtual bool learns() const { return false; }
  // Takes in what a visit found at site number `site`: r (rows, size), an unbiased estimate of ∂loss/∂h − m.
  virtual void watch(const ActivityRows<T>&, std::size_t /*site*/, std::span<const T> /*residual*/) {}
  // The sums that watch() adds to.
  virtual std::vector<std::span<T>> watched() { return {}; }
  // Changes m by what was watched since begin(); `paces` are the γ of each site, `step` that of the pass.
  virtual void learn(std::span<const double> /*paces*/, std::uint32_t /*step*/) {}
  // Bytes held beside what state() shows.
  virtual Index scratch_bytes() const { return 0; }

  // What it has learnt, for checkpoints; as Optimizer's.
  StateView<T> state() const { return detail::view_of(steps_, memory_); }
  void restore(const StateView<T>& state);

 protected:
  Index steps_ = 0;
  std::vector<NamedVector<T>> memory_;
};

// "none": m = 0.
// "feedback": m = mask ∘ (B e) with a matrix B (size, classes) a site, zero at first, learnt from the residuals by
// normalised least mean squares: row i of B += γ Σ_b r_bi e_b / (Σ_b mask_bi |e_b|² + ½ of its mean over the rows).
// No transposed weights and no backward sweep. (Lansdell, Prakash & Kording 2020; Bacho & Chu 2022.)
// "random-feedback": the same with B normal of variance 1/classes, and never changed: direct feedback alignment
// (Nøkland 2016) where nothing corrects it.
// "residual" and "residual-learned": residual.hpp.
// "mirror": m_l = C_l (mask ∘ gain m_{l+1}), with C_l learnt from pairs (x, W x) of random x, C += x (W x − Cᵀx)ᵀ / λ
// (the weight mirror, Akrout et al. 2019), and following the changes of W between passes. C converges to Wᵀ: once it
// has, the prior *is* backprop. For rectified sites that each feed one linear layer, the last one the logits.
const std::vector<std::string>& activity_prior_names();
std::string_view activity_prior_summary(std::string_view name);
// Throws ArgumentError for an unknown name or a program that does not suit.
template <class T>
std::unique_ptr<ActivityPrior<T>> make_activity_prior(std::string_view name, const Program& program,
                                                      const ActivitySites& sites, std::uint64_t seed);

}  // namespace slopewise
