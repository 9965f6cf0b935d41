// `slopewise train`: trains a network with forward gradients, or with backprop beside them.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/config.hpp"
#include "apps/run_directory.hpp"
#include "apps/train/files.hpp"
#include "apps/train/follow.hpp"
#include "apps/train/launcher.hpp"
#include "apps/train/log.hpp"
#include "apps/train/options.hpp"
#include "apps/train/task.hpp"
#include "apps/train/workers.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/memory.hpp"
#include "slopewise/onnx/adapters.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/page.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/terminal.hpp"
#include "slopewise/report/text.hpp"
#include "slopewise/train/loop.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;
using Path = std::filesystem::path;

void print_table(const TrainOptions& options, const Path& directory, const DataSplit& data, const Trainer& trainer,
                 const TrainOutcome& outcome, const std::optional<Evaluation>& judged,
                 std::optional<std::int64_t> base_bytes) {
  const CurvePoint& last = outcome.curve.back();
  Table table({"figure", "value"});
  const Evaluation test = judged.value_or(last.test);
  const bool numbers = data.train.outputs > 0;
  const auto figure = [&](double error) {
    return numbers ? format_number(1 - error) : fmt::format("{:.2f} %", 100 * error);
  };
  table.add_row({numbers ? "R² on test data" : "test error", figure(test.error)});
  table.add_row({"test loss", format_number(test.loss)});
  if (judged)
    table.add_row({numbers ? "R² on examples held out" : "error on images held out", figure(last.test.error)});
  table.add_row({"train loss", format_number(last.train_loss)});
  std::vector<double> losses;
  for (const CurvePoint& point : outcome.curve) losses.push_back(point.test.loss);
  table.add_row(
      {judged ? "loss held out, from first to last" : "test loss, from first to last", sparkline(losses, 24)});
  table.add_row({"epochs", format_number(last.epoch)});
  table.add_row({"training time", format_seconds(outcome.seconds)});
  // Of a task where no run gets there they would say nothing.
  for (const double accuracy : {97, 98}) {
    if (const auto seconds = numbers ? std::nullopt : outcome.seconds_to(accuracy))
      table.add_row({fmt::format("to {} %", accuracy), format_seconds(*seconds)});
  }
  table.add_row({"parameters", format_number(static_cast<double>(trainer.parameters()))});
  table.add_row({"memory of a step", format_bytes(trainer.step_bytes())});
  table.add_row({"of weights and optimizer", format_bytes(trainer.state_bytes())});
  if (base_bytes) table.add_row({"of the run, beside data", format_bytes(peak_bytes() - *base_bytes)});
  std::cout << table.to_string(is_terminal(1) ? terminal_width(1) : 0, wants_colour(1))
            << fmt::format("\nThe run: {}\n", directory.string());
  if (std::error_code ignored; std::filesystem::exists(directory / "model.onnx", ignored))
    std::cout << fmt::format("The model: {}\n", (directory / "model.onnx").string());
  if (!options.no_report) std::cout << fmt::format("Charts: {}\n", (directory / "report.html").string());
}

// Measurements of the noise in a run if nobody says how many, and the fewest steps between them: each takes as long as
// 13 steps, or more where layers are then perturbed one by one.
constexpr Index kMeasurements = 20, kLeastApart = 100;

// What was trained of a model from a file, where others read it: adapters alone, and the file with the weights. Returns
// why that is not written; "" where it is.
std::string save_model(const OnnxModel& model, const Parameters<float>& theta, const Path& directory) {
  if (has_adapters(model)) {
    ensure_writable_directory(directory / "adapter");
    save_adapters(model, theta, directory / "adapter");
  }
  const std::string why = why_not_saved(model);
  if (why.empty()) save_onnx(model, theta, directory / "model.onnx");
  return why;
}

// What --forwards, --steps and --seconds make of the run's steps and epochs.
void settle_length(const TrainOptions& options, Settings& settings, TrainSettings& resolved, const DataSplit& data,
                   const Network& network) {
  const bool epochs_given = settings.given("epochs");
  if (options.forwards > 0) {
    resolved.most_steps =
        std::max<Index>(1, static_cast<Index>(options.forwards / Trainer(resolved, data, network).forwards()));
    settings.at("steps").set(resolved.most_steps);
  }
  if (resolved.most_steps > 0 && !epochs_given) {  // steps alone say how long
    const Index an_epoch = std::max<Index>(1, (data.train.count() - resolved.validation) / resolved.batch);
    resolved.epochs = std::max(resolved.epochs, (resolved.most_steps + an_epoch - 1) / an_epoch);
    settings.at("epochs").set(resolved.epochs);
  }
  if (options.seconds > 0) {
    resolved.epochs = epochs_within(options.seconds, epoch_seconds(resolved, data, network), resolved.epochs);
    settings.at("epochs").set(resolved.epochs);
  }
}

// The run by itself, or rank 0 of it.
int run_here(TrainOptions& options, Settings& settings, Team* team, const LauncherLink& launcher) {
  std::optional<RunDirectory> held;
  std::optional<CheckpointReader> kept;
  if (!options.resume.empty()) {
    require_resumable(settings);
    held.emplace(Path(options.resume));
    kept.emplace(Path(options.resume) / "checkpoint.safetensors");
    apply_config(settings, kept->get("config"), kept->path().string());
  } else if (!options.preset.empty()) {
    const Preset& preset = presets().find(options.preset);
    apply_config(settings, preset.toml, "preset " + options.preset);
    require_task(preset, settings, "--preset " + options.preset);
  }
  apply(options.run);
  TrainSettings resolved = resolve(options, settings);
  if (!held) held.emplace(options.directory, kTrainDirectory);
  if (!kept && is_onnx(options.model)) held->require_kept(options.model);
  if (!kept && !options.initial.empty()) held->require_kept(options.initial);
  const Path& directory = held->path();
  if (team && options.pieces < 0) {
    resolved.pieces = pieces_for(resolved.divide, resolved.tangent_parts, team->size(), resolved.batch);
    settings.at("pieces").set(resolved.pieces);
  }
  if (team && resolved.pieces < team->size()) {
    throw ArgumentError(
        fmt::format("--pieces: expected at least one for each of {} ranks, found {}", team->size(), resolved.pieces));
  }
  std::optional<OnnxNetwork> model = open_model(options);
  const DataSplit data = load_data(options, model);
  if (options.memory > 0 && !kept) {
    const Index blocks = blocks_within(options, resolved, data);
    settings.at("memory").set(0);
    settings.at("exact-blocks").set(blocks);
    resolved.method.options.exact_blocks = blocks;
    model = open_model(options);
  }
  const Network network = network_of(resolved, data, model);
  if (options.target_accuracy > 0 && resolved.validation == 0) {
    // The test set says how good a run is, and so not when it ends.
    resolved.validation = std::max<Index>(1, data.train.count() / 10);
    settings.at("validation").set(resolved.validation);
  }
  if (!kept) settle_length(options, settings, resolved, data, network);
  const std::optional<std::int64_t> base_bytes = start_of_memory();
  Trainer trainer(resolved, data, network);
  if (options.log_slopes == "on" && !trainer.not_logged().empty()) {
    throw ArgumentError(
        fmt::format("--log-slopes on: expected steps along tangents of weights alone, found {}", trainer.not_logged()));
  }
  if (!kept && !options.initial.empty()) trainer.load_weights(options.initial);
  TrainOutcome so_far;
  const std::string config = config_of(settings);
  std::unique_ptr<SlopeLog> log;
  const auto save = [&](const TrainOutcome& now) {
    if (log) log->flush();  // so that it is never behind
    trainer.save(directory / "checkpoint.safetensors", {{"config", config}, {"progress", progress_text(now)}});
  };
  if (kept) {
    trainer.restore(*kept);
    so_far = progress_from(kept->get("progress"), kept->path().string());
    kept.reset();
    if (logs_slopes(options, trainer)) log = resume_log(directory / kSlopeLogFile, trainer, options.run.quiet);
  } else {
    save(so_far);
    write_text(directory / "config.toml", config);
    held->clear({"checkpoint.safetensors", "config.toml"});
    if (logs_slopes(options, trainer)) log = begin_log(directory / kSlopeLogFile, trainer);
  }
  trainer.log_to(log.get());
  lead(team, config, trainer, options.mixed, options.run.quiet);
  launcher.begun(directory);
  std::optional<StepTraffic> traffic;
  if (team) traffic = trainer.traffic(grid_of(resolved.divide, resolved.pieces, resolved.tangent_parts), team->size());
  if (traffic && !options.run.quiet) {
    std::cout << fmt::format("{} ranks share the {} pieces of each step. All of them send {} a step, one {} at most.\n",
                             team->size(), resolved.pieces, format_bytes(traffic->all), format_bytes(traffic->most))
              << std::flush;
  }

  MetricsFile metrics(directory / "metrics.jsonl", trainer.step());
  TrainOutcome outcome;
  std::string not_saved;
  std::optional<Evaluation> judged;  // on the test set, where the curve is of images held out
  {
    Progress progress("train", static_cast<double>(trainer.steps() - trainer.step()),
                      {.quiet = options.run.quiet, .unit = "steps"});
    outcome = run_training(
        trainer,
        {.seconds = options.seconds,
         .target_accuracy = options.target_accuracy,
         .evaluate_every = options.evaluate_every,
         .log_every = options.log_every,
         .measure_every = options.measure_every >= 0 ? options.measure_every
                                                     : std::max(kLeastApart, trainer.steps() / kMeasurements),
         .check_every = options.check_every,
         .checkpoint_every = options.checkpoint_every},
        std::move(so_far),
        {.advanced =
             [&](const TrainNews& news) {
               progress.note(note_of(news));
               progress.advance();
             },
         .metrics = [&](const Json& line) { metrics.add(line); },
         .foreseen =
             [&](const TrainReach& reach) {
               if (const std::string words = warning_of(reach, trainer); !words.empty()) progress.say(words);
             },
         .checkpoint = save});
    const bool finished = outcome.status == "finished" || outcome.status == "reached";
    if (finished) trainer.save_weights(directory / "weights.safetensors");
    Json document = train_document(options, settings, trainer, outcome, directory, base_bytes);
    if (team) {
      document["team"] = {{"ranks", team->size()},
                          {"bytes_sent", team->traffic().sent},
                          {"bytes_received", team->traffic().received},
                          {"step_bytes", traffic->all},
                          {"most_step_bytes", traffic->most}};
    }
    if (options.target_accuracy > 0 && outcome.status != "diverged") {
      const Evaluation test = trainer.test();
      document["test_loss"] = test.loss;
      document["test_error"] = test.error;
      if (!outcome.curve.empty()) document["validation_error"] = outcome.curve.back().test.error;
      judged = test;
    }
    write_json(directory / "results.json", document);
    if (!options.no_report) write_text(directory / "report.html", training_page(std::vector{read_run(directory)}));
    if (finished && model) not_saved = save_model(*model->model, trainer.weights(0), directory);
    if (outcome.status == "diverged") throw NumericError(outcome.message);
    if (outcome.status == "interrupted") {
      throw Interrupted(fmt::format("interrupted at step {} of {}; to go on: slopewise train --resume {}",
                                    trainer.step(), trainer.steps(), directory.string()));
    }
  }
  if (!not_saved.empty()) std::cerr << fmt::format("slopewise: no model.onnx was written: {}\n", not_saved);
  if (!options.run.quiet) print_table(options, directory, data, trainer, outcome, judged, base_bytes);
  return 0;
}

int run(TrainOptions& options, Settings& settings) {
  const Index started = started_ranks();
  if (!LauncherLink::exists()) {
    if (options.elastic && (started > 0 || options.workers < 2)) {
      throw ArgumentError(fmt::format("--elastic: expected --workers of at least 2, found {}",
                                      started > 0 ? "ranks that mpirun has started" : "a run by itself"));
    }
    if (options.mixed && started == 0 && options.workers < 2)
      throw ArgumentError("--mixed: expected ranks, by --workers of at least 2 or by mpirun, found a run by itself");
    if (options.workers > 1) {
      require_workers();
      if (started > 0) {
        throw ArgumentError(fmt::format(
            "--workers: expected a process that mpirun has not started, found one of {} ranks; give --workers or "
            "mpirun -n",
            started));
      }
      return launch_workers(options, settings);
    }
  }
  const LauncherLink launcher;
  const std::unique_ptr<Team> team = join_team(options.rank_timeout);
  try {
    return team && team->rank() > 0 ? follow(*team, options.resume) : run_here(options, settings, team.get(), launcher);
  } catch (const RankLost& lost) {
    launcher.lost(lost.rank());
    throw;
  }
}

}  // namespace

Verb train_verb() {
  const auto options = std::make_shared<TrainOptions>();
  const auto list = std::make_shared<bool>(false);
  Verb verb{.settings = train_settings(*options),
            .summary = "Train a network with forward gradients, or with backprop beside them"};
  verb.settings.flag("list-presets", *list, "Print the presets and what each is for, then exit", {.in_files = false});
  verb.examples = {"slopewise train --preset digits-activities",
                   "slopewise train --method local --prior feedback --correction gated --tangents 2 --epochs 5 --out "
                   "runs/local"};
  verb.run = [options, list](Settings& settings) {
    if (!*list) return run(*options, settings);
    for (const Preset& preset : presets().entries())
      std::cout << fmt::format("{:<24}{}\n", preset.name, preset.summary());
    return 0;
  };
  return verb;
}

}  // namespace slopewise
