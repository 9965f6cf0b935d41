// What a training run tells: results.json and metrics.jsonl in its directory, and the note beside its progress.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/train/options.hpp"
#include "slopewise/train/loop.hpp"

namespace slopewise {

// What the process holds now, data included: the base above which the run's memory counts. Peaks start here. Nothing
// where Linux does not let itself be asked.
std::optional<std::int64_t> start_of_memory();

// The document of results.json, "slopewise.train/1", with all settings, of a run named as its directory; `base_bytes`:
// of start_of_memory, where no earlier run has raised the peak since.
nlohmann::ordered_json train_document(const TrainOptions& options, const Settings& settings, const Trainer& trainer,
                                      const TrainOutcome& outcome, const std::filesystem::path& directory,
                                      std::optional<std::int64_t> base_bytes);

// "loss 0.21, error 3 %, SNR 0.01, |gradient| 0.2 to 0.4".
std::string note_of(const TrainNews& news);
// Where a run will hardly lower its loss by what is foreseen: that, and what would; empty where it will.
std::string warning_of(const TrainReach& reach, const Trainer& trainer);

// metrics.jsonl: the lines of a run's progress, which go on where they were when a run is resumed.
class MetricsFile {
 public:
  // Keeps the lines of steps up to `step` of a file that is there.
  MetricsFile(const std::filesystem::path& path, Index step);
  // Throws FileError where it cannot be written.
  void add(const nlohmann::ordered_json& line);

 private:
  std::filesystem::path path_;
  std::ofstream stream_;
};

}  // namespace slopewise
