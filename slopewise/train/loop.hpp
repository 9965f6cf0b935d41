// The loop around a trainer: evaluations, metrics, checkpoints, limits.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "slopewise/train/trainer.hpp"

namespace slopewise {

struct TrainLimits {
  double seconds = 0;          // of training, evaluations not counted; 0: none
  double target_accuracy = 0;  // percent; 0: none
  double evaluate_every = 1;   // epochs
  Index log_every = 100;
  Index measure_every = 0, check_every = 0;
  double checkpoint_every = 60;
};

// One evaluation of a run.
struct CurvePoint {
  Index step = 0;
  double epoch = 0, seconds = 0, train_loss = 0;
  Evaluation test;
};

// Of the steps since something was last told.
struct TrainSums {
  Index steps = 0;
  double loss = 0, squared_slope = 0, seconds = 0;
  Index clipped = 0;  // slopes
};

// What a run can be expected to come to, early in it.
struct TrainReach {
  Index step = 0;
  double loss = 0;      // a mean over the last steps
  double decrease = 0;  // of it by the steps left, if slopes and curvature stay as they are
};

struct TrainOutcome {
  std::string status;   // "finished", "reached" the target accuracy, "interrupted", "diverged"
  std::string message;  // of a run that did not finish
  std::vector<CurvePoint> curve;
  double seconds = 0;
  TrainSums logged, evaluated;         // since the last line of metrics.jsonl, since the last evaluation
  std::optional<double> running_loss;  // a mean over about the last 50 steps
  // Of an automatic rate after its first steps; of plain descent at a rate that was given from the first measurement of
  // the gradient's norm, its upper end, and without curvature: the most that can be hoped for. Else nothing.
  std::optional<TrainReach> reach;
  // Training time at the first evaluation with at least this accuracy.
  std::optional<double> seconds_to(double accuracy) const;
};

nlohmann::ordered_json to_json(const CurvePoint& point);
nlohmann::ordered_json to_json(const TrainReach& reach);
// What a resumed run needs of an outcome, and back. Throws FileError, in the name of `source`, for another text.
std::string progress_text(const TrainOutcome& outcome);
TrainOutcome progress_from(const std::string& text, const std::string& source);

// How a run stands.
struct TrainNews {
  double loss = 0;                                // a mean over about the last 50 steps
  std::optional<double> error;                    // of the last evaluation
  const nlohmann::ordered_json* noise = nullptr;  // the last line of metrics.jsonl with a measurement; null: none yet
};

// What a loop tells those who watch it; any may be empty.
struct TrainWatcher {
  // After every step.
  std::function<void(const TrainNews&)> advanced;
  // Gets every line of metrics.jsonl, and each measurement.
  std::function<void(const nlohmann::ordered_json&)> metrics;
  // What the run can be expected to come to, once.
  std::function<void(const TrainReach&)> foreseen;
  // Has the trainer's state kept, and what progress_text says of the outcome.
  std::function<void(const TrainOutcome&)> checkpoint;
};

// Trains until the settings' epochs, a limit, Ctrl-C or a loss that is not finite. `so_far` is what a resumed run has
// behind it.
TrainOutcome run_training(Trainer& trainer, const TrainLimits& limits, TrainOutcome so_far,
                          const TrainWatcher& watcher);

// Adds to a line of metrics.jsonl what a measurement of the gradient finds now: its norm with an interval, SNR, shares
// of the noise, residuals of the prior; `against_exact`: also its cosine with the exact gradient.
void add_noise(nlohmann::ordered_json& line, Trainer& trainer, bool against_exact);

// Seconds that an epoch of these settings takes, evaluations not counted, by the time of its first steps.
double epoch_seconds(TrainSettings settings, const DataSplit& data, const Network& network);

// Epochs of so many seconds each that fit: at least 1 and at most `most`.
Index epochs_within(double seconds, double epoch, Index most);

}  // namespace slopewise
