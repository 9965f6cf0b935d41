// What claims share: the data, the network they look at, and samples of its forward gradients.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "slopewise/data/dataset.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/objective/example_batch.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/probe/probe.hpp"

namespace slopewise {

struct StudyOptions {
  std::vector<Index> hidden = {256, 256};  // of the network most claims look at
  Index batch = 64;                        // examples of its loss: the note's full batch
  std::uint64_t seed = 1;
  bool quick = false;  // a tenth of the samples, smaller networks
};

// A network at its initial weights, with the loss of one fixed batch and its exact gradient.
class Subject {
 public:
  Subject(Model model, const Dataset& data, std::span<const Index> indices, std::uint64_t seed);

  const Program& program() const { return model_->program; }
  const ParameterLayout& layout() const { return model_->program.layout(); }
  Index size() const { return model_->program.size(); }
  Index logits() const { return model_->logits; }
  const ExampleBatch<float>& batch() const { return *batch_; }
  const Parameters<float>& parameters() const { return parameters_; }
  // ∇, and the sums predictions need.
  const GradientView& gradient() const { return *view_; }
  double loss() const { return loss_; }
  // Over so many tangents. Throws as measure_curvature does.
  Curvature curvature(Index samples, std::uint64_t seed) const;
  // The loss as estimators see it; a new object each time, so that threads do not share one.
  ProgramObjective<float> objective() const { return {model_->program, batch_->batch()}; }

 private:
  std::unique_ptr<Model> model_;  // objectives refer to it, so it must not move
  std::unique_ptr<ExampleBatch<float>> batch_;
  Parameters<float> parameters_;
  std::vector<double> gradient_;
  std::unique_ptr<GradientView> view_;
  double loss_ = 0;
};

// Forward gradients of one tangent, N of them, reduced to what claims ask for.
struct Samples {
  std::vector<double> slopes;         // (N): s = ∇·v, from a forward pass
  std::vector<double> squared_norms;  // (N): ‖v‖²
  std::vector<Index> tracked;         // entries of θ
  std::vector<float> entries;         // (N, tracked): v_i of those

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

// Draws and measures N forward gradients, spread over the threads; sample j is a pure function of (seed, j).
Samples draw_samples(const Subject& subject, const Probe& probe, Index count, std::vector<Index> tracked = {},
                     const ShareDone& done = {});
// The tangent of sample j (n).
void fill_tangent(const Probe& probe, Index j, std::span<double> out);

// ‖v_k‖² of tangents that `draw` has written, to about 1e-7: what is in memory is not drawn again.
double squared_norm(const Draw& draw, const Tangents<float>& written, Index k);

class StudyContext {
 public:
  // Throws ArgumentError for a batch the data cannot fill, and for data other than images in classes.
  StudyContext(StudyOptions options, Dataset train);

  const StudyOptions& options() const { return options_; }
  const Dataset& train() const { return train_; }
  std::string model_name() const;

  // Where a claim says how far it is, in shares of itself; run_study sets who listens.
  const ShareDone& progress() const { return progress_; }
  void set_progress(ShareDone progress) { progress_ = std::move(progress); }

  // A seed for one purpose, so that claims do not share random numbers.
  std::uint64_t seed(std::string_view purpose) const;
  // `full` in a full run, fewer (at least `least`) in a quick one.
  Index samples(Index full, Index least = 200) const;
  // Numbers of the first `count` examples of a seeded shuffle of the training set.
  std::vector<Index> examples(Index count) const;

  // The network of the options on its batch; made when first asked for.
  const Subject& subject();
  // A multilayer perceptron of other widths on the same batch.
  Subject perceptron(std::span<const Index> hidden) const;
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
  ShareDone progress_ = [](double) {};
  std::optional<Subject> subject_;
  std::optional<Samples> pool_;
};

}  // namespace slopewise
