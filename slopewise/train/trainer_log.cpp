// Steps that follow from numbers along tangents: made in pieces, by several ranks, and again from a log of slopes.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "slopewise/base/error.hpp"
#include "slopewise/train/description.hpp"
#include "slopewise/train/trainer_block.hpp"

namespace slopewise {

// Sees the objective through what cuts it in pieces and what keeps its answers, where these make the step.
void Trainer::record_answers() {
  const std::string reason = not_logged();
  if (!reason.empty()) {
    if (settings_.pieces == 0) return;
    throw ArgumentError(
        fmt::format("pieces of a step: expected steps along tangents of weights alone, found {}", reason));
  }
  Block& block = *blocks_.front();
  const AnswerKinds kinds = block.estimator->asks();
  Objective<float>* asked = block.objective.get();
  if (settings_.pieces > 0) {
    block.pieced =
        std::make_unique<PiecedObjective<float>>(*block.objective, settings_.divide, settings_.pieces, kinds);
    asked = block.pieced.get();
  }
  block.recording = std::make_unique<RecordingObjective<float>>(*asked, kinds);
}

void Trainer::share_with(Team* team, bool mixed) {
  PiecedObjective<float>* pieced = blocks_.front()->pieced.get();
  if (!pieced) throw ArgumentError("ranks: expected the pieces of a step to share, found none");
  pieced->set_team(team);
  team_ = team;
  mixed_ = mixed;
  met_ = false;
}

std::uint32_t Trainer::checksum() {
  blocks_.front()->compacted = false;
  return checksum_of(blocks_.front()->theta);
}

void Trainer::compare_weights() {
  constexpr Index kStepsApart = 100;
  if (step_ % kStepsApart != 0 && (!mixed_ || met_)) return;
  met_ = true;
  if (mixed_) return take_weights_of_rank_zero();
  team_->settle({static_cast<double>(checksum())}, [&](const std::vector<std::vector<double>>& all) {
    for (std::size_t rank = 1; rank < all.size(); ++rank) {
      if (all[rank] == all[0]) continue;
      throw TeamError(fmt::format("step {}: ranks 0 and {} have other weights, of the checksums {:08x} and {:08x}",
                                  step_, rank, static_cast<std::uint32_t>(all[0].at(0)),
                                  static_cast<std::uint32_t>(all[rank].at(0))));
    }
    return std::vector<float>();
  });
}

// What optimizers and averages remember stays each rank's own: it follows from the same slopes, and rounding fades
// there.
void Trainer::take_weights_of_rank_zero() {
  Block& block = *blocks_.front();
  const std::span<const float> own = block.theta.values();
  block.compacted = false;
  const bool sends = team_->rank() == 0;
  const std::string sent =
      team_->gather(sends ? std::string(reinterpret_cast<const char*>(own.data()), own.size_bytes()) : "").at(0);
  if (sends) return;
  const std::span<float> theta = block.theta.edit();
  if (sent.size() != theta.size_bytes()) {
    throw TeamError(fmt::format("step {}: expected {} bytes of rank 0's weights, found {}", step_, theta.size_bytes(),
                                sent.size()));
  }
  std::memcpy(theta.data(), sent.data(), sent.size());
}

TrainStep Trainer::replay_step() {
  Block& block = *blocks_.front();
  const SlopeRecord record = std::move(replayed_.records.back());
  replayed_.records.pop_back();
  ReplayingObjective<float> answers(block.training.program->layout(), block.estimator->asks(), settings_.batch);
  answers.set(record.answers);
  const double scheduled = schedule_.rate(step_);
  TrainStep result;
  take_step(block, block.estimate(answers, step_, scheduled / settings_.rate), scheduled, result);
  if (static_cast<float>(result.rate) != record.rate) {
    throw FileError(fmt::format("{}: step {}: expected the learning rate {} of this run, found {}", replayed_.source,
                                step_, result.rate, record.rate));
  }
  ++step_;
  return result;
}

void Trainer::replay(std::vector<SlopeRecord> records, std::string source) {
  std::ranges::reverse(records);
  replayed_ = {.records = std::move(records), .source = std::move(source)};
}

std::string Trainer::not_logged() const {
  if (blocks_.size() > 1) return "blocks with losses of their own";
  const Block& block = *blocks_.front();
  if (block.estimator->asks().tangents > 0) return "";
  if (estimator_options(settings_.method, block.training, 0).exact_head.value_or(false) &&
      settings_.method.estimator != "activities")
    return "an exact gradient of the last layer";
  return fmt::format("the estimator '{}', which takes more of the loss than slopes along tangents of weights",
                     block.estimator->name());
}

Index Trainer::logged_numbers() const {
  return blocks_.front()->recording ? blocks_.front()->estimator->asks().numbers() : 0;
}

Recipe Trainer::recipe() const {
  if (const std::string reason = not_logged(); !reason.empty())
    throw ArgumentError(fmt::format("log of slopes: expected steps along tangents of weights alone, found {}", reason));
  Recipe recipe = Block::recipe(settings_, blocks_.front()->training, 0);
  if (step_ == 0) recipe.initial_checksum = checksum_of(blocks_.front()->theta);
  recipe.strings = describe(network_, train_);
  return recipe;
}

}  // namespace slopewise
