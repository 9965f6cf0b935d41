// `slopewise compare`: every way to train, on one task, under the same conditions.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <functional>
#include <iostream>
#include <memory>

#include "apps/compare/leaderboard.hpp"
#include "apps/compare/lineup.hpp"
#include "apps/config.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/progress.hpp"

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
  const double seconds = options.shared.seconds;
  return {{"schema", "slopewise.compare/1"},
          {"version", version()},
          {"status", status},
          {"data", data.train.name},
          {"model", options.shared.settings.network.family},
          {"budget_seconds", seconds > 0 ? Json(seconds) : Json()},
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
    for (const RowRun& run : entry.choosing) tried.push_back(train(run, fmt::format("rate {}", run.rate)));
    for (RowRun& run : entry.judged) {
      if (!tried.empty()) run.rate = best_rate(entry.choosing, tried);
      entry.results.push_back(train(run, fmt::format("seed {}", run.seed)));
      publish();
    }
  }
}

constexpr std::array kBesideResume{"--resume", "--seeds", "--threads", "--quiet", "--color"};

// What is not given beside --resume is as it was; little may be given.
void apply_resume(CompareOptions& options, CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_name();
    if (option->count() > 0 && std::ranges::find(kBesideResume, name) == kBesideResume.end())
      throw ArgumentError(
          fmt::format("--resume: expected only --seeds, --threads and --quiet beside it, found {}", name));
  }
  const Path config = Path(options.resume) / "config.toml";
  apply_config(command, read_text(config), config.string());
  options.out = options.resume;
}

int run(CompareOptions& options, CLI::App& command) {
  const bool resumed = !options.resume.empty();
  if (resumed) {
    apply_resume(options, command);
  } else if (!options.preset.empty()) {
    apply_config(command, lines_of(Part::kTask, find_preset(options.preset).toml), "preset " + options.preset);
  }
  apply(options.shared.run);
  const DataSplit data = load_data(options.shared.data);
  const Path directory = options.out, plan = directory / "plan.json";
  if (!resumed && std::filesystem::exists(plan)) {
    throw ArgumentError(fmt::format("--out: {} holds a comparison; to go on with it: slopewise compare --resume {}",
                                    options.out, options.out));
  }
  ensure_writable_directory(directory);
  Lineup lineup = resumed ? read_lineup(plan, command) : time_rows(options, command, data);
  plan_runs(lineup, options, data);
  if (!resumed) {
    // A default beside what was given would hold for every row.
    write_config(directory, command, ConfigPart::kGiven);
    write_json(plan, to_json(lineup));
  }
  const auto publish = [&](const std::string& status) {
    write_leaderboard(directory, document_of(lineup, options, data, status));
  };
  try {
    run_all(lineup, data, options.shared.run.quiet, [&] { publish("running"); });
  } catch (const Interrupted& error) {
    publish("interrupted");
    throw Interrupted(fmt::format("{}; to go on: slopewise compare --resume {}", error.what(), options.out));
  }
  publish("finished");
  if (!options.shared.run.quiet) {
    std::cout << markdown(document_of(lineup, options, data, "finished"))
              << fmt::format("\nThe same as compare.md, compare.csv and compare.json, and every run: {}\n",
                             options.out);
  }
  return 0;
}

}  // namespace

Verb add_compare(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "compare", "Train every method on one task, for the same time or as many passes, and rank them");
  const auto options = std::make_shared<CompareOptions>();
  command
      ->add_option("rows", options->rows,
                   "Rows of --list-rows, presets, or files of options (NAME.toml) [all of --list-rows]")
      ->type_name("ROW ...");
  command->add_option("--seeds", options->seeds, "Runs of each row, with seeds --seed, --seed + 1, ...")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--tune", options->tune,
                   "Learning rates tried for each row, half and twice its usual one for 3; 0: its usual one is taken")
      ->type_name("N")
      ->check(CLI::Range(0, 20))
      ->capture_default_str();
  // Those of train that mean the same for every row.
  add_train_options(*command, options->shared);
  const std::vector<CLI::Option*> all = command->get_options();
  for (CLI::Option* option : all) {
    static const std::vector<std::string> kRowsOwn{"--validation",
                                                   "--initial",
                                                   "--target-accuracy",
                                                   "--measure-every",
                                                   "--check-against-backprop",
                                                   "--checkpoint-every",
                                                   "--steps",
                                                   "--forwards",
                                                   "--rotate",
                                                   "--no-report",
                                                   "--out",
                                                   "--resume"};
    if (option->get_group() == "How gradients are made" ||
        std::ranges::find(kRowsOwn, option->get_name()) != kRowsOwn.end())
      command->remove_option(option);
  }
  command->get_option("--seconds")
      ->description("As many epochs as fit in this time of training, for each row; not with --epochs")
      ->excludes("--epochs");
  command->add_option("--preset", options->preset, "Take the network, regularisation, batch and length from a preset")
      ->type_name("NAME")
      ->configurable(false)
      ->group("What is trained");
  command->add_option("--validation", options->validation, "Training images held out while rates are tried [a tenth]")
      ->type_name("N")
      ->check(CLI::Range(Index{1}, Index{1'000'000'000}))
      ->group("What is trained");
  command->add_option("--out", options->out, "Directory of the comparison")->type_name("DIR")->capture_default_str();
  command->add_option("--resume", options->resume, "Go on with the comparison in this directory")
      ->type_name("DIR")
      ->configurable(false);
  command->add_flag("--list-rows", options->list, "Print the rows and what each is, then exit")->configurable(false);
  command->footer(
      "Examples:\n"
      "  slopewise compare --seconds 20\n"
      "  slopewise compare activities-feedback local-feedback backprop --data mnist --preset mnist-activities --out "
      "runs/mnist");
  return {command, [options, command] {
            if (!options->list) return run(*options, *command);
            for (const RowSpec& row : built_in_rows()) std::cout << fmt::format("{:<24}{}\n", row.name, row.what);
            return 0;
          }};
}

}  // namespace slopewise
