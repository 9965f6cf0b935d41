// The trainer's own: one block of its chain.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>

#include "slopewise/base/philox.hpp"
#include "slopewise/objective/body_objective.hpp"
#include "slopewise/objective/program_objective.hpp"
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
        objective(std::move(of_program)) {}

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
  // Of a step, or of its largest piece.
  Demand demand() const {
    if (!pieced) return estimator->demand(*objective);
    ProgramObjective<float> piece = objective->for_batch({.rows = pieced->rows(), .inputs = {}});
    return estimator->demand(piece);
  }
  // What steps ask.
  Objective<float>& asked() {
    if (recording) return *recording;
    return pieced ? *pieced : static_cast<Objective<float>&>(*objective);
  }
  std::shared_ptr<ForwardPass<float>> evaluator;  // of the block's program, which blocks of that program share
  bool compacted = false;                         // θ is in memory once

  // Whether nothing in a step asks for θ as a flat vector.
  bool stays_packed() const { return !average && !optimizer->flattens(); }
};

}  // namespace slopewise
