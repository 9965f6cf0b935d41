// `slopewise compare`: every way to train, on one task, under the same conditions.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/compare/leaderboard.hpp"
#include "apps/compare/lineup.hpp"
#include "apps/config.hpp"
#include "apps/run_directory.hpp"
#include "apps/train/task.hpp"
#include "apps/train/workers.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/report/terminal.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;
using Path = std::filesystem::path;

Json document_of(const Lineup& lineup, const CompareOptions& options, const DataSplit& data,
                 const std::string& status) {
  Json rows = Json::array();
  for (const Entry& entry : lineup.entries) {
    if (!entry.results.empty()) rows.push_back(summarize(entry));
  }
  sort_rows(rows);
  const double seconds = options.shared.seconds, forwards = options.shared.forwards;
  return {{"schema", "slopewise.compare/1"},
          {"version", version()},
          {"status", status},
          {"data", data.train.name},
          {"model", options.shared.model},
          {"budget_seconds", seconds > 0 ? Json(seconds) : Json()},
          {"budget_forwards", forwards > 0 ? Json(forwards) : Json()},
          {"budget_bytes", options.step_bytes > 0 ? Json(options.step_bytes) : Json()},
          {"seeds", options.seeds},
          {"tuned_rates", options.tune},
          {"rows", std::move(rows)},
          {"left_out", lineup.left_out}};
}

// Fills in the entries' runs, those that are done from their files; `publish` is called after each that is judged.
void run_all(Lineup& lineup, const DataSplit& data, bool quiet, const std::function<void()>& publish) {
  Progress progress("compare", seconds_left(lineup), {.quiet = quiet});
  for (Entry& entry : lineup.entries) {
    const auto train = [&](const RowRun& run, const std::string& which) {
      return train_row(entry.row, run, data, [&](double epochs, const std::string& note) {
        progress.note(fmt::format("{}, {}: {}", entry.row.spec().name, which, note));
        progress.advance(epochs * entry.epoch_seconds);
      });
    };
    std::vector<Json> tried;
    for (const RowRun& run : entry.choosing) tried.push_back(train(run, fmt::format("rate {}", *run.rate)));
    for (RowRun& run : entry.judged) {
      if (!tried.empty()) run.rate = best_rate(entry.choosing, tried);
      entry.results.push_back(train(run, fmt::format("seed {}", run.seed)));
      publish();
    }
  }
}

int run(CompareOptions& options, Settings& settings) {
  const bool resumed = !options.resume.empty();
  std::optional<RunDirectory> held;
  if (resumed) {
    require_resumable(settings);
    held.emplace(Path(options.resume));
    const Path config = Path(options.resume) / "config.toml";
    apply_config(settings, read_text(config), config.string());
  } else if (!options.preset.empty()) {
    TrainOptions of_preset;
    Settings preset = train_settings(of_preset);
    apply_config(preset, presets().find(options.preset).toml, "preset " + options.preset,
                 [](const Setting& setting) { return setting.part == Part::kTask; });
    for (const Setting& setting : preset.all()) {
      if (setting.given && !settings.given(setting.name)) settings.at(setting.name).set(setting.read());
    }
    require_task(presets().find(options.preset), settings, "--preset " + options.preset);
  }
  if (options.shared.workers > 1 || started_ranks() > 1) {
    throw ArgumentError(fmt::format(
        "{}: expected one process, as rows are compared by what one takes, found {}; ranks make the same steps as one "
        "(slopewise train --workers N), so that rows at equal work (--forwards) hold for them too",
        options.shared.workers > 1 ? "--workers" : "mpirun", std::max(options.shared.workers, started_ranks())));
  }
  if (options.shared.forwards > 0 && options.shared.seconds > 0)
    throw ArgumentError("--forwards: expected one budget, found --seconds beside it");
  apply(options.shared.run);
  if (!held) held.emplace(options.directory, kCompareDirectory);
  if (!resumed && is_onnx(options.shared.model)) held->require_kept(options.shared.model);
  const Path& directory = held->path();
  const Path plan = directory / "plan.json";
  const DataSplit data = load_data(options.shared, open_model(options.shared));
  Lineup lineup = resumed ? read_lineup(plan, settings) : time_rows(options, settings, data);
  plan_runs(lineup, options, directory, data);
  if (!resumed) {
    held->clear();
    // A row's run that is there would be taken for one of this comparison.
    for (const Entry& entry : lineup.entries) {
      for (const std::vector<RowRun>* runs : {&entry.choosing, &entry.judged}) {
        for (const RowRun& run : *runs) std::filesystem::remove(run.directory / "results.json");
      }
    }
    // A default beside what was given would hold for every row.
    write_config(directory, settings, ConfigPart::kGiven);
    write_json(plan, to_json(lineup));
  }
  const auto publish = [&](const std::string& status) {
    write_leaderboard(directory, document_of(lineup, options, data, status));
  };
  try {
    run_all(lineup, data, options.shared.run.quiet, [&] { publish("running"); });
  } catch (const Interrupted& error) {
    publish("interrupted");
    throw Interrupted(fmt::format("{}; to go on: slopewise compare --resume {}", error.what(), directory.string()));
  }
  publish("finished");
  if (!options.shared.run.quiet) {
    const Json document = document_of(lineup, options, data, "finished");
    std::cout << (is_terminal(1) ? leaderboard_text(document, terminal_width(1), wants_colour(1)) : markdown(document))
              << fmt::format("\nThe same as compare.md, compare.csv and compare.json, and every run: {}\n",
                             directory.string());
  }
  return 0;
}

}  // namespace

Verb compare_verb() {
  const auto options = std::make_shared<CompareOptions>();
  Verb verb{.settings = Settings("compare"),
            .summary = "Train every method on one task, for the same time or as many passes, and rank them"};
  Settings& settings = verb.settings;
  settings.begin("What is compared");
  std::vector<std::string> names = built_in_rows().names();
  names.insert(names.end(), presets().names().begin(), presets().names().end());
  settings.add("rows", options->rows, text_like("ROW", std::move(names)),
               "Rows of --list-rows, presets, or files of options (NAME.toml)",
               {.otherwise = "all of --list-rows", .positional = true});
  settings.add("seeds", options->seeds, whole(1, 1000), "Runs of each row, with seeds --seed, --seed + 1, ...",
               {.resumable = true});
  settings.add("tune", options->tune, whole(0, 20),
               "Learning rates tried for each row, half and twice its usual one for 3; 0: its usual one is taken");
  settings.flag("list-rows", options->list, "Print the rows and what each is, then exit", {.in_files = false});
  // Those of train that mean the same for every row.
  const Settings train = train_settings(options->shared);
  for (const Setting& setting : train.all()) {
    if (setting.part == Part::kTask || setting.part == Part::kShared) settings.add(setting);
  }
  Setting& seconds = settings.at("seconds");
  seconds.help = "As many epochs as fit in this time of training, for each row; not with --epochs";
  seconds.traits.excludes = "epochs";
  Setting forwards = train.at("forwards");
  forwards.help = "As many steps as fit in this work, in forward passes on a batch, for each row; not with --epochs";
  forwards.traits = {.excludes = "epochs"};
  settings.add(forwards);
  Setting workers = train.at("workers");
  workers.help = "Processes of a row: 1";
  workers.traits = {.rare = true};
  settings.add(workers);
  settings.add("step-bytes", options->step_bytes, bytes(),
               "Leave out rows whose step needs more memory, beside parameters, optimizer and data; 0: none",
               {.rare = true});
  settings.begin("What is trained");
  settings.add("preset", options->preset, one_of(presets().names()),
               "Take the network, regularisation, batch and length from a preset",
               {.otherwise = "none", .in_files = false});
  settings.add("validation", options->validation, whole(1, 1'000'000'000),
               "Training images held out while rates are tried", {.otherwise = "a tenth"});
  settings.begin("");
  add_run_directory_options(settings, options->directory, kCompareDirectory);
  settings.add("resume", options->resume, text("DIR"), "Go on with the comparison in this directory",
               {.in_files = false, .resumable = true});
  verb.examples = {
      "slopewise compare --seconds 20",
      "slopewise compare backprop backprop-micro mezo lozo weights --forwards 5000 --seeds 5",
      "slopewise compare activities-feedback local-feedback backprop --data mnist --preset mnist-activities --out "
      "runs/mnist"};
  verb.run = [options](Settings& given) {
    if (!options->list) return run(*options, given);
    for (const RowSpec& row : built_in_rows().entries()) std::cout << fmt::format("{:<24}{}\n", row.name, row.what);
    return 0;
  };
  return verb;
}

}  // namespace slopewise
