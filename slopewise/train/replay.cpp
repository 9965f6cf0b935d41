#include "slopewise/train/replay.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/base/memory.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/train/checkpoint.hpp"
#include "slopewise/train/weights.hpp"

namespace slopewise {
namespace {

BlockState begin_for(const Recipe& recipe, const std::filesystem::path& log, const std::filesystem::path& initial,
                     const StartMaker& start) {
  try {
    Parameters<float> theta = initial.empty() ? start(recipe) : Parameters<float>(recipe.layout.size);
    if (!initial.empty()) {
      const BlockWeights<float> weights[] = {{&recipe.layout, theta.edit()}};
      read_weights<float>(TensorFile(initial), weights);
    }
    BlockState state = begin(recipe, EstimatorTarget(recipe.layout), std::move(theta));
    if (const std::uint32_t found = checksum_of(state.theta); found != recipe.initial_checksum) {
      throw FileError(fmt::format("{}: expected the weights its run began with, of the checksum {:08x}; {} {:08x}",
                                  log.string(), recipe.initial_checksum,
                                  initial.empty() ? "it begins with those of" : initial.string() + " has those of",
                                  found));
    }
    return state;
  } catch (const ArgumentError& error) {
    throw FileError(fmt::format("{}: what its steps are made of: {}", log.string(), error.what()));
  }
}

}  // namespace

std::filesystem::path slope_log_of(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return path;
  if (!std::filesystem::exists(path / kSlopeLogFile, ignored)) {
    throw FileError(
        fmt::format("{}: no {} there; runs have one whose steps are numbers along tangents of weights alone, unless "
                    "--log-slopes off was given",
                    path.string(), kSlopeLogFile));
  }
  return path / kSlopeLogFile;
}

Parameters<float> drawn_start(const Recipe& recipe) {
  return initialize<float>(recipe.layout, recipe.initial_seed);
}

Replay::Replay(const std::filesystem::path& path, const std::filesystem::path& initial, const StartMaker& start)
    : log_(slope_log_of(path)),
      recipe_(recipe_from(log_.header(), log_.path().string())),
      state_(begin_for(recipe_, log_.path(), initial, start)),
      answers_(recipe_.layout, state_.estimator->asks(), recipe_.examples) {
  const Index asked = state_.estimator->asks().numbers() + (recipe_.step_rate ? kLookNumbers : 0);
  if (asked != log_.numbers()) {
    throw FileError(fmt::format("{}: expected {} numbers a step for its estimator '{}', found {}", log_.path().string(),
                                asked, recipe_.estimator, log_.numbers()));
  }
  // A few bytes a step may ask for tangents of any size.
  const Index needed = state_.estimator->demand(answers_).unpacked(), available = available_memory();
  if (available > 0 && needed > available) {
    throw FileError(fmt::format("{}: a step's tangents take {} bytes, of which {} can be had", log_.path().string(),
                                needed, available));
  }
}

bool Replay::advance() {
  const Index number = step();
  std::optional<SlopeRecord> record = log_.next();
  if (!record) return false;
  answers_.set(std::move(record->answers));
  // The pace is of priors of activities, which have no log.
  try {
    const GradientEstimate estimate = state_.estimate(answers_, number, 1);
    if (recipe_.step_rate) {
      state_.move(estimate, [&](const StepDirection&) { return double{record->rate}; });
    } else {
      state_.move(estimate, record->rate);
    }
  } catch (const Error& error) {
    throw FileError(fmt::format("{}: step {}: {}", log_.path().string(), number, error.what()));
  }
  return true;
}

void Replay::save_weights(const std::filesystem::path& path) {
  CheckpointWriter file;
  for (const auto& [name, text] : recipe_.strings) file.set(name, text);
  std::optional<AverageScope<float>> averaged;
  if (state_.average && state_.average->steps() > 0) averaged.emplace(*state_.average, state_.theta);
  file.add("", recipe_.layout, state_.theta.values());
  file.save(path);
}

}  // namespace slopewise
