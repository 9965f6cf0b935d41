// Steps made in pieces, by several ranks, and steps that follow from numbers along tangents, made again from a log.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "slopewise/base/error.hpp"
#include "slopewise/train/description.hpp"
#include "slopewise/train/trainer_block.hpp"

namespace slopewise {

// Sees the objectives through what cuts them in pieces, and through what keeps the answers where these make the step.
void Trainer::record_answers() {
  const bool logged = not_logged().empty();
  if (settings_.pieces > 0) {
    require_pieces();
    const PieceGrid grid = grid_of(settings_.divide, settings_.pieces, settings_.tangent_parts);
    for (const auto& block : blocks_) {
      block->pieced = std::make_unique<PiecedObjective<float>>(*block->objective, grid, block->estimator->asks());
      block->pieced->bind({.rows = settings_.batch, .inputs = {}});
    }
  }
  if (!logged) return;
  Block& block = *blocks_.front();
  block.recording = std::make_unique<RecordingObjective<float>>(block.asked(), block.estimator->asks());
}

// Examples can always be divided; tangents where they are those of all weights.
void Trainer::require_pieces() const {
  if (settings_.divide == Divide::kExamples) return;
  const auto refuse = [](const char* why) {
    throw ArgumentError(fmt::format("divide: expected --divide examples, {}", why));
  };
  const std::string& estimator = settings_.method.estimator;
  if (blocks_.size() > 1) refuse("as blocks with losses of their own have tangents of their own");
  if (estimator == "exact") refuse("as an exact gradient is along no tangents");
  if (estimator == "activities") refuse("as each example has tangents of its own at activities");
  if (settings_.divide == Divide::kBoth && takes_losses_alone(estimator))
    refuse("or tangents, as differences of losses are divided one way");
}

StepTraffic Trainer::traffic(const PieceGrid& grid, Index ranks) const {
  StepTraffic all;
  for (const auto& block : blocks_) {
    const Index points = takes_losses_alone(settings_.method.estimator) ? block->estimator->losses() : 0;
    const StepTraffic own = traffic_of(grid, ranks, settings_.batch, block->demand(*block->objective).answers, points);
    all.up += own.up;
    all.reply += own.reply;
    all.all += own.all;
    all.most += own.most;
  }
  return all;
}

void Trainer::share_with(Team* team, bool mixed) {
  for (const auto& block : blocks_) {
    if (!block->pieced) throw ArgumentError("ranks: expected the pieces of a step to share, found none");
    block->pieced->set_team(team);
  }
  team_ = team;
  mixed_ = mixed;
  met_ = false;
}

std::uint32_t Trainer::checksum() {
  std::uint32_t all = 0;
  for (const auto& block : blocks_) {
    block->compacted = false;
    const std::uint32_t own = checksum_of(block->theta);
    all = block == blocks_.front()
              ? own
              : static_cast<std::uint32_t>(crc32_combine(all, own, block->theta.size() * Index{sizeof(float)}));
  }
  return all;
}

void Trainer::compare_weights() {
  constexpr Index kStepsApart = 100;
  if (step_ % kStepsApart != 0 && (!mixed_ || met_)) return;
  met_ = true;
  if (mixed_) return take_weights_of_rank_zero();
  const auto text_of = [](std::uint32_t sum) { return fmt::format("{:08x}", sum); };
  team_->settle(text_of(checksum()), [&](const std::vector<std::string>& all) {
    for (std::size_t rank = 1; rank < all.size(); ++rank) {
      if (all[rank] == all[0]) continue;
      throw TeamError(fmt::format("step {}: ranks 0 and {} have other weights, of the checksums {} and {}", step_, rank,
                                  all[0], all[rank]));
    }
    return std::string();
  });
}

// What estimators, optimizers and averages remember stays each rank's own: it follows from the same answers, and
// rounding fades there.
void Trainer::take_weights_of_rank_zero() {
  const bool sends = team_->rank() == 0;
  for (const auto& block : blocks_) {
    const std::span<const float> own = block->theta.values();
    block->compacted = false;
    const std::string sent =
        team_->gather(sends ? std::string(reinterpret_cast<const char*>(own.data()), own.size_bytes()) : "").at(0);
    if (sends) continue;
    const std::span<float> theta = block->theta.edit();
    if (sent.size() != theta.size_bytes()) {
      throw TeamError(fmt::format("step {}: expected {} bytes of rank 0's weights, found {}", step_, theta.size_bytes(),
                                  sent.size()));
    }
    std::memcpy(theta.data(), sent.data(), sent.size());
  }
}

TrainStep Trainer::replay_step() {
  Block& block = *blocks_.front();
  const SlopeRecord record = std::move(replayed_.records.back());
  replayed_.records.pop_back();
  ReplayingObjective<float> answers(block.training.program->layout(), block.estimator->asks(), settings_.batch);
  answers.set(record.answers);
  const double scheduled = schedule_.rate(step_);
  TrainStep result;
  const std::span<const float> numbers = record.answers.numbers;
  const std::span<const float> seen = numbers.last(std::min(numbers.size(), static_cast<std::size_t>(kLookNumbers)));
  const Looks looks{[&](const StepDirection&) { return std::pair(seen[0], seen[1]); }, [&] { return seen[2]; }};
  take_step(block, block.estimate(answers, step_, scheduled / settings_.rate), scheduled, looks, result);
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
  const Block& block = *blocks_.front();
  return block.recording ? block.estimator->asks().numbers() + (block.step_rate ? kLookNumbers : 0) : 0;
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
