// Probes: sources of tangents. Every law here has E[v vᵀ] = I, which is what makes s·v an unbiased estimate of the
// gradient; what they differ in is variance and cost.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/base/philox.hpp"
#include "slopewise/tensor/parameters.hpp"

namespace slopewise {

// Tangents of one step are told apart by a 32-bit number.
inline constexpr Index kMostTangents = Index{1} << 31;

// ∇, its layout, and the sums that predictions need. Made once, asked often.
class GradientView {
 public:
  // `gradient` (n) must outlive the view.
  GradientView(const ParameterLayout& layout, std::span<const double> gradient);

  const ParameterLayout& layout() const { return layout_; }
  Index size() const { return layout_.size; }
  double operator[](Index i) const { return gradient_[i]; }
  std::span<const double> values() const { return gradient_; }
  double squared_norm() const { return squared_norm_; }

  // Of the block's matrix G, its bias as one more column: ‖G‖².
  double block_squared_norm(Index block) const { return block_norms_[block]; }
  // ‖G_r·‖² + ‖G_·c‖² of the row and the column that entry i of θ lies in.
  double row_and_column(Index i) const;

 private:
  ParameterLayout layout_;
  std::span<const double> gradient_;
  double squared_norm_ = 0;
  std::vector<double> block_norms_;
  std::vector<std::vector<double>> rows_, columns_;  // squared norms, one list a block
};

// The K tangents of one step: each entry a pure function of (seed, step, k, index).
class Draw {
 public:
  Draw(const ParameterLayout& layout, Index count) : layout_(layout), count_(count) {}
  virtual ~Draw() = default;

  const ParameterLayout& layout() const { return layout_; }
  Index count() const { return count_; }

  // Entries [first, first + out.size()) of tangent k, in the order of θ.
  virtual void fill(Index k, Index first, std::span<float> out) const = 0;
  virtual void fill(Index k, Index first, std::span<double> out) const = 0;
  // Writes all K tangents in the law's forms, or as a function where `out` has the form kDrawn; `out` must have them.
  // The draw must then outlive what `out` is used for.
  virtual void write(Tangents<float>& out) const;
  virtual void write(Tangents<double>& out) const;
  // θ += Σ_k coefficients[k] v_k, without ever holding a tangent; packed matrices are changed as they are. Tangents
  // whose coefficient is 0 are not drawn.
  // θ may have more entries, after those of the layout. Throws ShapeError for fewer, or other numbers of coefficients.
  void add_to(std::span<const double> coefficients, Parameters<float>& theta) const;
  void add_to(std::span<const double> coefficients, Parameters<double>& theta) const;
  void add_to(std::span<const double> coefficients, std::span<float> theta) const;
  void add_to(std::span<const double> coefficients, std::span<double> theta) const;
  // x·v_k for a vector x (n): the slope along tangent k where the gradient is x. Throws ShapeError for another size.
  double slope(Index k, std::span<const double> x) const;
  // ‖v_k‖².
  virtual double squared_norm(Index k) const;

  // The part of add_to that concerns one block, its weight's entries at `weight` (or packed) and its bias's, if it has
  // one, at `bias`.
  virtual void add_block(std::span<const double> coefficients, const Block& block, float* weight, float* bias) const;
  virtual void add_block(std::span<const double> coefficients, const Block& block, double* weight, double* bias) const;
  virtual void add_block(std::span<const double> coefficients, const Block& block, WeightProduct& weight,
                         float* bias) const;

 private:
  template <class T>
  void write_dense(Tangents<T>& out) const;
  template <class Term>
  double sum_over_tiles(Index k, Term term) const;
  void require_sizes(std::size_t coefficients, std::size_t parameters) const;
  template <class T>
  void add_segment(std::span<const double> coefficients, Index segment, T* values) const;
  template <class T>
  void add_flat(std::span<const double> coefficients, std::span<T> theta) const;

  ParameterLayout layout_;
  Index count_;
};

// The same tangents, with those that `tangents` holds as numbers read from there instead of drawn again.
std::shared_ptr<const Draw> stored_draw(std::shared_ptr<const Draw> draw,
                                        std::shared_ptr<const Tangents<float>> tangents);

// A tangent law over a layout. One object serves all steps of a run.
class Probe {
 public:
  Probe(ParameterLayout layout, std::uint64_t seed) : layout_(std::move(layout)), seed_(seed) {}
  virtual ~Probe() = default;

  virtual std::string_view name() const = 0;
  const ParameterLayout& layout() const { return layout_; }
  std::uint64_t seed() const { return seed_; }
  // How each segment's tangents come.
  virtual std::vector<TangentForm> forms() const;
  // Whether drawing an entry again is cheaper than reading it from memory.
  virtual bool quick_to_draw() const { return false; }
  // Bytes that a draw holds for each of its tangents.
  virtual Index draw_bytes() const { return 0; }
  // The most tangents one step can have: n for frames.
  virtual Index most_tangents() const { return kMostTangents; }
  // Throws ArgumentError unless 1 ≤ count ≤ most_tangents().
  void check_count(Index count) const;
  // The tangents of one step. Throws as check_count does.
  virtual std::shared_ptr<const Draw> draw(std::uint32_t step, Index count) const = 0;

  // Predictions for g = (1/K) Σ_k s_k v_k, given ∇ (theory.md):
  // V[g_i].
  virtual double entry_variance(const GradientView& gradient, Index i, Index count) const = 0;
  // tr V = E‖g − ∇‖².
  virtual double total_variance(const GradientView& gradient, Index count) const = 0;
  // ‖∇‖² / tr V, where it does not depend on ∇; else the least and the largest it can be.
  struct SnrRange {
    double low, high;
  };
  virtual SnrRange snr(Index count) const = 0;
  // Whether the law does not change under rotation; then cos²(v, ∇) ~ Beta(1/2, (n − 1)/2).
  virtual bool rotation_invariant() const { return false; }
  // The largest kurtosis that a slope ∇·v can have under the law, whatever ∇ is: 3 for normal slopes, infinite where ∇
  // may lie on one entry that is seldom probed.
  virtual double slope_kurtosis() const { return 3; }
  // Whether the entries are independent standard normal numbers.
  virtual bool gaussian() const { return false; }
  // Whether the K tangents of a step are orthogonal, so that Σ s_k² / n is ‖P∇‖².
  virtual bool orthogonal() const { return false; }

 private:
  ParameterLayout layout_;
  std::uint64_t seed_;
};

// What "low-rank" is told; other laws take no notice.
struct LawOptions {
  Index rank = 2;  // r: columns of the factors U and W
  Index hold = 1;  // ν: W is drawn anew in every ν-th step

  bool operator==(const LawOptions&) const = default;
};

// The laws by name: "gaussian", "rademacher", "uniform", "sphere", "coordinate", "frame", "rank-one" (Rademacher
// factors), "rank-one-gaussian", "low-rank".
const std::vector<std::string>& probe_names();
// One line on what the law is.
std::string_view probe_summary(std::string_view name);
// Throws ArgumentError, listing the names, for an unknown one, and for options out of range.
std::shared_ptr<const Probe> make_probe(std::string_view name, const ParameterLayout& layout, std::uint64_t seed,
                                        const LawOptions& options = {});

// A law by name.
struct ProbeFamily {
  std::string name, summary;
  std::function<std::shared_ptr<const Probe>(const ParameterLayout&, std::uint64_t seed, const LawOptions&)> make;
};
// Makes it known to make_probe and probe_names, and so to every estimator. Throws ArgumentError for a name that is
// taken. Before other threads make probes.
void register_probe(ProbeFamily family);

}  // namespace slopewise
