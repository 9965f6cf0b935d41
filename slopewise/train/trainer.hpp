// Training, step by step; loop.hpp is the loop around it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "slopewise/data/batches.hpp"
#include "slopewise/data/dataset.hpp"
#include "slopewise/model/network.hpp"
#include "slopewise/objective/example_batch.hpp"
#include "slopewise/train/checkpoint.hpp"
#include "slopewise/train/evaluation.hpp"
#include "slopewise/train/noise.hpp"
#include "slopewise/train/recipe.hpp"
#include "slopewise/train/settings.hpp"
#include "slopewise/train/slope_log.hpp"

namespace slopewise {

struct TrainStep {
  double loss = 0;  // of the batch before the step: the last block's, with dropout and label smoothing
  double rate = 0;
  std::optional<double> slope;  // root mean square of the last block's slopes
  Index clipped = 0;            // slopes that were clipped
};

// What is measured at one θ beside training; nothing of the run depends on it.
struct TrainNoise {
  GradientNoise gradient;                                 // all blocks together
  std::vector<std::pair<std::string, double>> residuals;  // Estimator::residuals by site, "h1", "h2", …
  // block_cosines (block_cosines.hpp) of the last batch; of a network under one loss, where exact gradients are made.
  std::vector<std::pair<std::string, double>> cosines;
};

class Trainer {
 public:
  // `data` must outlive the trainer. Throws ArgumentError for settings that do not fit it. The network is that of the
  // settings, or another, in whose place they then do not count.
  Trainer(const TrainSettings& settings, const DataSplit& data);
  Trainer(const TrainSettings& settings, const DataSplit& data, Network network);
  ~Trainer();

  const TrainSettings& settings() const { return settings_; }
  const Network& network() const { return network_; }
  Index parameters() const;
  // The loss of answering without a look at the example: with every class alike, or with the mean; infinity where the
  // model's output is the loss, and where targets do not vary.
  double guessing_loss() const;
  Index steps_per_epoch() const { return batches_.per_epoch(); }
  // Of the whole run.
  Index steps() const;
  // Steps taken so far.
  Index step() const { return step_; }
  // Bytes of a step beside θ, optimizer and data, as planned: passes, tangents, gradients, what estimators remember,
  // the batch and what blocks hand on; with a second copy of packed weights where an average or weight decay needs the
  // first. Blocks of one program share a pass, so that passes do not add up with depth.
  Index step_bytes() const;
  // Bytes of what lasts from step to step beside what estimators remember: θ, the optimizer's vectors, averages.
  Index state_bytes() const;
  // Work of one step's passes, in forward passes of the whole network on the batch.
  double forwards() const;
  // Slopes of one step for each example, all blocks.
  Index slopes() const;

  // Of steps under one loss where the rate is automatic, once that is known.
  std::optional<StepOutlook> outlook() const;
  // By how much the steps left lower the loss if all of them are like that: each at the rate that is scheduled or,
  // where rates are automatic, at the best, and so at most.
  double reach(const StepOutlook& each) const;
  // One step on the next batch. Throws NumericError where loss or gradient are not finite; the block where they are,
  // and those after it, are then as they were, but for a block whose rate is found along its step.
  TrainStep advance();
  // On the test set, or the examples held out for validation; with the averaged weights where there are any.
  Evaluation evaluate() { return evaluate(judged_, judged_rows_); }
  // On the test set, whatever is held out.
  Evaluation test();
  // Over so many batches. `against_exact`: also the exact gradients, by backprop within each block.
  TrainNoise measure(Index batches, bool against_exact);

  // The weights of a block that are judged: the average where there is one.
  Parameters<float> weights(std::size_t block);
  // The weights alone, with what describe() says of them, then with everything else that the next step depends on.
  // `extra`: what the caller wants to find in the checkpoint by name. Throw FileError; what was there before is then
  // still there.
  void save_weights(const std::filesystem::path& path);
  void save(const std::filesystem::path& path, const std::map<std::string, std::string>& extra);
  // Goes on bit for bit where save() was called, under the same settings and data. Throws FileError for a checkpoint
  // that does not fit; the trainer must then not be used.
  void restore(CheckpointReader& file);
  // Starts from the weights in a file, as read_weights reads them. Throws FileError for one that does not fit.
  void load_weights(const std::filesystem::path& path);

  // Why the numbers that a step's tangents are asked for do not make the step, so that there is no log of it; empty
  // where they do.
  std::string not_logged() const;
  // What a log needs beside those numbers; the weights' checksum before the first step alone, 0 later. Throws
  // ArgumentError where not_logged().
  Recipe recipe() const;
  // Of each step in the log; 0 where not_logged().
  Index logged_numbers() const;
  // Has every step that is taken from now on added to a log, which must outlive the trainer; null: to none.
  void log_to(SlopeLog* log) { log_ = log; }
  // Whether the weights are those after step(); not where advance() threw with some blocks moved, or with weights that
  // were moved for losses and are back within rounding alone.
  bool whole() const { return whole_; }
  // What ranks send each other in a step that they share, cut this way, but for every hundredth step's checksums. Of
  // steps that are not alike those that send most.
  StepTraffic traffic(const PieceGrid& grid, Index ranks) const;
  // Shares the pieces of each step with others that have the same settings, weights and data; null: with none.
  // advance() then throws TeamError where a rank does not answer or, which is looked at every hundred steps, has other
  // weights. `mixed`: ranks whose rounding differs; rank 0's weights are then sent to the others every hundred steps,
  // in place of that look, and before the first one. The team must outlive the trainer. Throws ArgumentError where the
  // settings have fewer pieces than the team ranks, or none.
  void share_with(Team* team, bool mixed = false);
  // CRC-32 of the weights.
  std::uint32_t checksum();
  // The next steps, which were taken before: advance() makes them again from these, without their batches, and adds
  // them to no log. `source` is named where they are not this run's.
  void replay(std::vector<SlopeRecord> records, std::string source);
  // How many of them are left.
  Index replaying() const { return static_cast<Index>(replayed_.records.size()); }

 private:
  struct Block;
  // What blocks read in a step: examples, noise for dropout, and what a block has made for the next. Kept, so that a
  // step takes no memory.
  struct Inputs {
    ExampleBatch<float> examples;
    std::vector<float> made, before;
    std::vector<std::int32_t> noise;
  };
  // While these live, blocks that have an average are at it.
  std::vector<std::optional<AverageScope<float>>> averaged();
  Evaluation evaluate(const Dataset& images, std::span<const Index> rows);
  void draw_noise(Index step, std::size_t block);
  // Where what is found along a step, and after it, comes from: the batch or a log. Float32 numbers.
  struct Looks {
    std::function<std::pair<float, float>(const StepDirection&)> along;  // slope and second-order term
    std::function<float()> after;                                        // the loss
  };
  void take_step(Block& block, const GradientEstimate& estimate, double scheduled, const Looks& looks,
                 TrainStep& result);
  void record_answers();
  void require_pieces() const;
  void compare_weights();
  void take_weights_of_rank_zero();
  TrainStep replay_step();
  template <class Visit>
  void through_blocks(Index step, Visit visit);

  TrainSettings settings_;
  const Dataset& train_;
  const Dataset& test_;
  const Dataset& judged_;  // the test set, or the training set, of which those rows are held out
  std::vector<Index> judged_rows_;
  Batches batches_;
  Schedule schedule_;
  Network network_;
  std::vector<std::unique_ptr<Block>> blocks_;
  Inputs inputs_;
  Index step_ = 0;
  SlopeLog* log_ = nullptr;
  Team* team_ = nullptr;
  bool whole_ = true;
  bool mixed_ = false, met_ = false;  // ranks that round differently; that they have had the same weights
  struct Replayed {
    std::vector<SlopeRecord> records;  // the next one last
    std::string source;
  };
  Replayed replayed_;
};

}  // namespace slopewise
