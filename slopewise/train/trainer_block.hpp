// The trainer's own: one block of its chain.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>

#include "slopewise/base/philox.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "slopewise/objective/body_objective.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/optimize/step_rate.hpp"
#include "slopewise/train/trainer.hpp"

namespace slopewise {

// The block's parameters and all that changes them.
struct Trainer::Block : BlockState {
  // `objective`: of the block's program, which blocks of that program share.
  Block(const TrainSettings& settings, const Network& network, std::size_t number,
        std::shared_ptr<ProgramObjective<float>> of_program)
      : BlockState(begin(recipe(settings, network.training[number], number),
                         EstimatorTarget(*network.training[number].program, network.training[number].sites),
                         network.initial(number, initial_seed(settings, number)))),
        training(network.training[number]),
        evaluating(network.evaluating[number]),
        prefix(fmt::format("block{}.", number + 1)),
        objective(std::move(of_program)) {
    if (settings.step_rate)
      step_rate.emplace(StepRateOptions{.safety = StepRate::safety_of(estimator->slopes() + estimator->losses())});
  }

  static constexpr std::uint64_t kBlockSeed = 0x626C6F63;
  static std::uint64_t initial_seed(const TrainSettings& settings, std::size_t number) {
    return derive_seed(settings.seed, kBlockSeed + number);
  }
  // But for the checksum and the strings.
  static Recipe recipe(const TrainSettings& settings, const ChainBlock& block, std::size_t number) {
    return {.layout = block.program->layout(),
            .initial_seed = initial_seed(settings, number),
            .estimator = settings.method.estimator,
            .options =
                estimator_options(settings.method, block, derive_seed(settings.seed, kBlockSeed + (number << 8) + 1)),
            .optimizer = settings.optimizer,
            .optimizer_options = settings.optimizer_options,
            .step_rate = settings.step_rate,
            .average = settings.average,
            .examples = settings.batch,
            .strings = {}};
  }
  std::string part_name(const StatePart& part) const { return fmt::format("{}estimator.{}", prefix, part.name); }

  const ChainBlock& training;
  const ChainBlock& evaluating;
  std::string prefix;
  std::shared_ptr<ProgramObjective<float>> objective;
  std::unique_ptr<PiecedObjective<float>> pieced;        // of the same; null where steps are made as a whole
  std::unique_ptr<RecordingObjective<float>> recording;  // of the same; null where its answers do not make a step
  std::optional<StepRate> step_rate;
  // Of a step, or of its largest piece.
  Demand demand() const {
    if (!pieced) return demand(*objective);
    ProgramObjective<float> piece = objective->for_batch({.rows = pieced->rows(), .inputs = {}});
    return demand(piece);
  }
  // Of a step of that objective; of the work of looks at directions the share of the steps that have one.
  Demand demand(ProgramObjective<float>& of) const {
    Demand step = estimator->demand(of);
    if (!step_rate) return step;
    Demand look = of.slopes_demand(direction_forms(of.layout()), 1, 2);
    look += of.loss_demand();
    look.flops /= static_cast<double>(StepRate::kEvery);
    look.answers = {.calls = 2, .tangents = 1, .numbers = 2};
    if (!estimator->dense() && optimizer->direction_bytes() == 0) look.bytes += theta.size() * Index{sizeof(float)};
    step += look;
    return step;
  }
  // What steps ask.
  Objective<float>& asked() { return recording ? *recording : data(); }
  // What answers that.
  Objective<float>& data() { return pieced ? *pieced : static_cast<Objective<float>&>(*objective); }
  std::shared_ptr<ForwardPass<float>> evaluator;  // of the block's program, which blocks of that program share
  bool compacted = false;                         // θ is in memory once

  // Whether nothing in a step asks for θ as a flat vector.
  bool stays_packed() const { return !average && !optimizer->flattens(); }
};

}  // namespace slopewise
