// The weights of any step of a run, from its log of slopes: no model, no data.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "slopewise/train/recipe.hpp"
#include "slopewise/train/slope_log.hpp"

namespace slopewise {

// The weights that a run began with where it was given none.
using StartMaker = std::function<Parameters<float>(const Recipe&)>;
// Of a network of a family: drawn from the seed.
Parameters<float> drawn_start(const Recipe& recipe);

class Replay {
 public:
  // `path`: a log, or a run's directory that has one. `initial`: the weights the run began with, as read_weights reads
  // them; empty where `start` makes them. Throws FileError where the log cannot be read, or these are not the weights
  // it is of.
  explicit Replay(const std::filesystem::path& path, const std::filesystem::path& initial = {},
                  const StartMaker& start = drawn_start);

  const Recipe& recipe() const { return recipe_; }
  // Where the log was cut, once advance() has returned false.
  const std::string& damage() const { return log_.damage(); }
  // Steps made so far, and those that the file has room for.
  Index step() const { return log_.steps(); }
  Index logged() const { return log_.room(); }
  // The next step; false where the log has no more. Throws FileError where the record is of no step of this recipe.
  bool advance();
  const Parameters<float>& theta() const { return state_.theta; }
  // The weights as Trainer::save_weights writes them: their average, where the run has one.
  void save_weights(const std::filesystem::path& path);

 private:
  SlopeLogReader log_;
  Recipe recipe_;
  BlockState state_;
  ReplayingObjective<float> answers_;
};

// The log in a run's directory.
inline constexpr const char* kSlopeLogFile = "slopes.log";
// `path`, or that file in it where it is a directory. Throws FileError for a directory without one.
std::filesystem::path slope_log_of(const std::filesystem::path& path);

}  // namespace slopewise
