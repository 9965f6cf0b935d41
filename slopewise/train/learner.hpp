// One block of a chain as it learns: where its gradient comes from.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "slopewise/program/runner.hpp"
#include "slopewise/train/checkpoint.hpp"
#include "slopewise/train/settings.hpp"

namespace slopewise {

class Learner {
 public:
  virtual ~Learner() = default;
  // The gradient, exact or estimated, of the batch's mean loss by the block's parameters; valid until the next call of
  // this or of a learner that shares its memory. `step` picks the tangents. With a pace the learner's own memory moves
  // on (priors learn at that pace); without, it stays, so that looking changes nothing.
  virtual const Gradient& gradient(const Parameters<float>& parameters, const Batch<float>& batch, std::uint32_t step,
                                   std::optional<double> pace) = 0;
  // The batch's loss in the last call.
  virtual double loss() const = 0;
  // What the next block reads, (B, size), in the last call; may be empty for the last block.
  virtual std::span<const float> output() const = 0;
  // The root mean square of the slopes of the last call; nothing where there are none.
  virtual std::optional<double> slope() const { return std::nullopt; }
  // ‖∂loss/∂h − m‖² over ‖∂loss/∂h‖² at each site, from slopes of tangents that enter there alone; empty where nothing
  // is predicted.
  virtual std::vector<double> residuals(const Parameters<float>&, const Batch<float>&, std::uint32_t /*step*/) {
    return {};
  }
  // The rate of the next step, where the learner knows one.
  virtual std::optional<double> rate() const { return std::nullopt; }
  // Slopes of the last call that were so large that they were clipped.
  virtual Index clipped() const { return 0; }
  // Forward passes' worth of directional derivatives in a step.
  virtual Index slopes() const { return 0; }
  // Bytes of one step beside θ, the batch and the optimizer.
  virtual Index step_bytes(Index batch) const = 0;
  // Multiply-adds, twice, of one step's passes; the optimizer's are not among them.
  virtual double step_flops(Index batch) const = 0;
  // What later gradients depend on beside θ, under names that begin with `name`. Restoring throws FileError for what is
  // missing or of another size.
  virtual void save(CheckpointWriter&, const std::string& /*name*/) const {}
  virtual void restore(CheckpointReader&, const std::string& /*name*/) {}
};

// `like`: the learner of an earlier block of the same program, whose memory to share; may be null. The block must
// outlive the learner.
std::unique_ptr<Learner> make_learner(const MethodSettings& settings, const ChainBlock& block, std::uint64_t seed,
                                      Learner* like);

}  // namespace slopewise
