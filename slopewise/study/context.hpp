// What claims share: the data, the network they look at, and samples of its forward gradients.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "slopewise/data/dataset.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "slopewise/objective/example_batch.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/probe/probe.hpp"
#include "slopewise/study/network.hpp"

namespace slopewise {

// Pixels along a side of the images that StudyContext::tiny sees.
inline constexpr Index kTiny = 4;
// An exact gradient has so many examples in flight at a time, so that large networks' fits.
inline constexpr Index kInFlight = 64;

struct StudyOptions {
  // Examples of the network's loss: the note's full batch. 0: 64, or 16 in a quick study of another network than a
  // perceptron, and at most all.
  Index batch = 0;
  std::uint64_t seed = 1;
  bool quick = false;  // a tenth of the samples, smaller networks
};

// A network at its initial weights, with the loss of one fixed batch and its exact gradient.
class Subject {
 public:
  // Throws NumericError for a loss that is not finite, and for a gradient of 0, which estimates cannot be compared
  // with.
  Subject(ChainBlock block, Parameters<float> parameters, const Dataset& data, std::span<const Index> indices);

  const Program& program() const { return *block_.program; }
  const ParameterLayout& layout() const { return program().layout(); }
  Index size() const { return program().size(); }
  // Its hidden activities.
  const ActivitySites& sites() const { return block_.sites; }
  const ExampleBatch<float>& batch() const { return *batch_; }
  Index examples() const { return examples_; }
  const Parameters<float>& parameters() const { return parameters_; }
  // ∇, and the sums predictions need.
  const GradientView& gradient() const { return *view_; }
  double loss() const { return loss_; }
  // Over so many tangents. Throws as measure_curvature does.
  Curvature curvature(Index samples, std::uint64_t seed) const;
  // The loss as estimators see it; a new object each time, so that threads do not share one.
  ProgramObjective<float> objective() const { return {program(), batch_->batch()}; }

 private:
  ChainBlock block_;
  std::unique_ptr<ExampleBatch<float>> batch_;  // objectives refer to it, so it must not move
  Index examples_;
  Parameters<float> parameters_;
  std::vector<double> gradient_;
  std::unique_ptr<GradientView> view_;
  double loss_ = 0;
};

// Whether ∇_i² is so much of ‖∇‖² that g_i is not nearly a product of independent normals.
bool has_large_share(const GradientView& gradient, Index i);

// Forward gradients of one tangent, N of them, reduced to what claims ask for.
struct Samples {
  std::vector<double> slopes;         // (N): s = ∇·v, from a forward pass
  std::vector<double> squared_norms;  // (N): ‖v‖²
  std::vector<Index> tracked;         // entries of θ
  std::vector<float> entries;         // (N, tracked): v_i of those
  Index together = 1;                 // samples of one pass, whose tangents are one draw

  Index count() const { return static_cast<Index>(slopes.size()); }
  // g_i = s v_i of the t-th tracked entry in sample j.
  double gradient_entry(Index j, std::size_t t) const {
    return slopes[j] * static_cast<double>(entries[static_cast<std::size_t>(j) * tracked.size() + t]);
  }
  // ‖g‖² of every sample.
  std::vector<double> squared_gradient_norms() const;
};

// Told what share of some work has been done since it was last told; called from several threads.
using ShareDone = std::function<void(double)>;

// Floating-point operations of one slope, and, as its share of a pass of several, of one of these.
double slope_flops(const Subject& subject);
double sample_flops(const Subject& subject);
// Draws and measures N forward gradients, spread over the threads; sample j is a pure function of (seed, j).
Samples draw_samples(const Subject& subject, const Probe& probe, Index count, std::vector<Index> tracked = {},
                     const ShareDone& done = {});
// The tangent of sample j (n).
void fill_tangent(const Probe& probe, const Samples& samples, Index j, std::span<double> out);

// ‖v_k‖² of tangents that `draw` has written, to about 1e-7: what is in memory is not drawn again.
double squared_norm(const Draw& draw, const Tangents<float>& written, Index k);

class StudyContext {
 public:
  // Throws ArgumentError for a batch the data cannot fill; what Subject throws; NumericError for a network whose
  // gradient has too few entries other than 0 for what is said of many.
  StudyContext(StudyOptions options, Dataset train, StudyNetwork network);

  const StudyOptions& options() const { return options_; }
  const Dataset& train() const { return train_; }
  const std::string& model_name() const { return network_.name; }

  // Where a claim says how far it is, in shares of itself; run_study sets who listens.
  const ShareDone& progress() const { return progress_; }
  void set_progress(ShareDone progress) { progress_ = std::move(progress); }

  // A seed for one purpose, so that claims do not share random numbers.
  std::uint64_t seed(std::string_view purpose) const;
  // `full` in a full run, fewer in a quick one; and no more than are made in a fair time where one takes so many
  // floating-point operations. At least `least`, where `full` is not less.
  Index samples(Index full, Index least = 200, double flops = 0) const;
  // Numbers of the first `count` examples of a seeded shuffle of the training set.
  std::vector<Index> examples(Index count) const;

  // The network on its batch.
  const Subject& subject() const { return subject_; }
  // The same network on other examples.
  Subject subject_on(std::span<const Index> indices) const;
  // Whether the network is a perceptron, beside which there are others.
  bool has_perceptrons() const { return network_.perceptron; }
  // One of other widths, as a program, and on the batch or on other examples.
  ChainBlock perceptron_block(std::span<const Index> hidden) const;
  Subject perceptron(std::span<const Index> hidden) const;
  Subject perceptron(std::span<const Index> hidden, std::span<const Index> indices) const;
  // One of 8 units, for claims that need many samples and hold at any size.
  Subject small() const;
  // Logistic regression on the same batch, its images averaged down to 4 × 4: 170 parameters for ten classes of 28 × 28
  // images.
  Subject tiny() const;
  // A pool of Gaussian forward gradients of subject(), with some entries tracked: 32 of the largest |∇_i|, 32 of the
  // median and 32 of the smallest that are not 0. Drawn when first asked for; several claims read it.
  const Samples& pool();

 private:
  StudyOptions options_;
  Dataset train_;
  StudyNetwork network_;
  ShareDone progress_ = [](double) {};
  Subject subject_;
  std::optional<Samples> pool_;
};

}  // namespace slopewise
