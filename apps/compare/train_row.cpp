#include "apps/compare/train_row.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apps/config.hpp"
#include "apps/train/files.hpp"
#include "apps/train/task.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/base/json_text.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/train/loop.hpp"
#include "slopewise/train/trainer.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

void set_options(Row& row, const RowRun& run) {
  row.set("rate", run.rate ? Value(*run.rate) : Value("auto"));
  row.set("seed", run.seed);
  row.set("epochs", run.epochs);
  row.set("steps", run.steps);
  row.set("seconds", 0);  // the epochs say it
  row.set("validation", run.validation);
  row.set("out", run.directory.string());
}

}  // namespace

bool is_done(const RowRun& run) {
  return std::filesystem::exists(run.directory / "results.json");
}

Json train_row(Row& row, const RowRun& run, const DataSplit& data,
               const std::function<void(double, const std::string&)>& advanced) {
  set_options(row, run);
  if (is_done(run)) return read_json(run.directory / "results.json");
  const bool choosing = run.validation > 0;
  ensure_writable_directory(run.directory);
  const TrainSettings settings = resolve(row.options(), row.settings());
  Trainer trainer(settings, data, network_of(settings, data, open_model(row.options())));
  MetricsFile metrics(run.directory / "metrics.jsonl", 0);
  Json cosine = Json::array(), snr = Json::array();
  const auto look = [&] {
    Json line{{"step", trainer.step()},
              {"epoch", static_cast<double>(trainer.step()) / static_cast<double>(trainer.steps_per_epoch())}};
    try {
      add_noise(line, trainer, true);
      metrics.add(line);
    } catch (const NumericError&) {  // of a run about to diverge: it has none
    }
    cosine.push_back(line.value("cosine", Json()));
    snr.push_back(line.value("snr", Json()));
  };
  const Index middle = std::max(Index{1}, trainer.steps() / 2);
  if (!choosing) look();
  const TrainOutcome outcome =
      run_training(trainer,
                   {.evaluate_every = choosing ? static_cast<double>(run.epochs) : row.options().evaluate_every,
                    .log_every = row.options().log_every},
                   {},
                   {.advanced =
                        [&](const TrainNews& news) {
                          if (!choosing && trainer.step() == middle) look();
                          advanced(1 / static_cast<double>(trainer.steps_per_epoch()), note_of(news));
                        },
                    .metrics = [&](const Json& line) { metrics.add(line); },
                    .checkpoint = {}});
  if (outcome.status == "interrupted") throw Interrupted(fmt::format("interrupted in {}", row.spec().name));
  if (outcome.status == "finished" && !choosing) look();
  Json document =
      train_document(row.options(), row.settings(), trainer, outcome, run.directory, /*base_bytes=*/std::nullopt);
  document["command"] = row.command_line();
  document["cosine"] = std::move(cosine);
  document["snr"] = std::move(snr);
  write_json(run.directory / "results.json", document);
  return document;
}

}  // namespace slopewise
