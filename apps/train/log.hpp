// The log of slopes in a training run's directory.
#pragma once

#include <filesystem>
#include <memory>

#include "apps/train/options.hpp"
#include "slopewise/train/replay.hpp"
#include "slopewise/train/trainer.hpp"

namespace slopewise {

// Whether the run is to have a log: where it may have one, unless the options say otherwise.
bool logs_slopes(const TrainOptions& options, const Trainer& trainer);

// The log of a run that takes its first step. Throws FileError.
std::unique_ptr<SlopeLog> begin_log(const std::filesystem::path& path, const Trainer& trainer);

// The log of a run that goes on from a checkpoint; the trainer is given the steps that it has beyond that. What follows
// the last whole record is cut off. Null where the log is missing, of another run, or ends before the checkpoint: the
// run then goes on without. All of this is said on standard error, unless `quiet`. Throws FileError.
std::unique_ptr<SlopeLog> resume_log(const std::filesystem::path& path, Trainer& trainer, bool quiet);

}  // namespace slopewise
