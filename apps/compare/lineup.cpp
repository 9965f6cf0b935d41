#include "apps/compare/lineup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <tuple>

#include "apps/train/task.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/train/loop.hpp"
#include "slopewise/train/trainer.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;
using Path = std::filesystem::path;

constexpr Index kMostEpochs = 1'000'000;
constexpr std::uint64_t kChoosing = 0x74756E65;

Entry make_entry(RowSpec spec, const Settings& shared) {
  return {.row = Row(std::move(spec), shared)};
}

// Epochs that hold so many steps.
Index epochs_of(Index steps, Index per_epoch) {
  return (steps + per_epoch - 1) / per_epoch;
}

// How long the row trains: the epochs that fit in the seconds, the steps that fit in the forward passes, or what it
// says.
void give_length(Entry& entry, const TrainOptions& budget, Index steps_per_epoch, double forwards) {
  if (budget.forwards > 0) {
    const auto per_epoch = static_cast<double>(steps_per_epoch);
    entry.steps = static_cast<Index>(std::clamp(budget.forwards / forwards, 1.0, per_epoch * kMostEpochs));
    entry.epochs = epochs_of(entry.steps, steps_per_epoch);
    entry.run_seconds = static_cast<double>(entry.steps) / per_epoch * entry.epoch_seconds;
    if (forwards > budget.forwards) entry.note = "one step takes more work than --forwards";
    return;
  }
  entry.epochs = budget.seconds > 0 ? epochs_within(budget.seconds, entry.epoch_seconds, kMostEpochs)
                                    : entry.row.options().settings.epochs;
  entry.run_seconds = static_cast<double>(entry.epochs) * entry.epoch_seconds;
  if (budget.seconds > 0 && entry.epoch_seconds > budget.seconds) entry.note = "one epoch takes longer than --seconds";
}

}  // namespace

Lineup time_rows(const CompareOptions& options, const Settings& shared, const DataSplit& data) {
  Lineup lineup;
  const std::vector<RowSpec> specs = select_rows(options.rows);
  Progress progress("time the rows", static_cast<double>(specs.size()), {.quiet = options.shared.run.quiet});
  for (const RowSpec& spec : specs) {
    check_interrupted("timing the rows");
    progress.note(spec.name);
    Entry entry = make_entry(spec, shared);
    try {
      const TrainSettings settings = resolve(entry.row.options(), entry.row.settings());
      const Network network = network_of(settings, data, open_model(entry.row.options()));
      const auto [bytes, steps_per_epoch, forwards] = [&] {  // before another trainer takes memory
        const Trainer trainer(settings, data, network);
        return std::tuple(trainer.step_bytes(), trainer.steps_per_epoch(), trainer.forwards());
      }();
      if (options.step_bytes > 0 && bytes > options.step_bytes) {
        lineup.left_out.push_back(
            {{"name", spec.name},
             {"why", fmt::format("a step needs {}, more than --step-bytes", format_bytes(bytes))}});
        progress.advance();
        continue;
      }
      entry.epoch_seconds = epoch_seconds(settings, data, network);
      give_length(entry, options.shared, steps_per_epoch, forwards);
    } catch (const ArgumentError& error) {
      const bool asked_for = options.rows.size() > 0 && (!spec.control || std::ranges::count(options.rows, spec.name));
      if (asked_for) throw ArgumentError(fmt::format("row {}: {}", spec.name, error.what()));
      lineup.left_out.push_back({{"name", spec.name}, {"why", error.what()}});
      progress.advance();
      continue;
    }
    progress.advance();
    lineup.entries.push_back(std::move(entry));
  }
  return lineup;
}

Json to_json(const Lineup& lineup) {
  Json rows = Json::array();
  for (const Entry& entry : lineup.entries) {
    const RowSpec& spec = entry.row.spec();
    rows.push_back({{"name", spec.name},
                    {"preset", spec.preset},
                    {"toml", spec.toml},
                    {"control", spec.control},
                    {"epochs", entry.epochs},
                    {"steps", entry.steps},
                    {"epoch_seconds", entry.epoch_seconds},
                    {"run_seconds", entry.run_seconds},
                    {"note", entry.note}});
  }
  return {{"schema", "slopewise.compare-plan/1"}, {"rows", rows}, {"left_out", lineup.left_out}};
}

Lineup read_lineup(const Path& path, const Settings& shared) {
  const Json document = read_json(path);
  Lineup lineup;
  try {
    lineup.left_out = document.at("left_out");
    for (const Json& row : document.at("rows")) {
      Entry entry = make_entry({.name = row.at("name"),
                                .what = {},
                                .preset = row.at("preset"),
                                .toml = row.at("toml"),
                                .control = row.at("control")},
                               shared);
      entry.epochs = row.at("epochs");
      entry.epoch_seconds = row.at("epoch_seconds");
      // Older comparisons have epochs alone.
      entry.steps = row.value("steps", Index{0});
      entry.run_seconds = row.value("run_seconds", static_cast<double>(entry.epochs) * entry.epoch_seconds);
      entry.note = row.value("note", "");
      lineup.entries.push_back(std::move(entry));
    }
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("{}: {}", path.string(), error.what()));
  }
  return lineup;
}

void plan_runs(Lineup& lineup, const CompareOptions& options, const Path& directory, const DataSplit& data) {
  const std::uint64_t seed = options.shared.run.seed;
  const Index held_out = options.validation > 0 ? options.validation : std::max<Index>(1, data.train.count() / 10);
  const Index most = data.train.count() - options.shared.settings.batch;
  if (options.tune > 0 && held_out > most) {
    throw ArgumentError(fmt::format("--validation: expected at most {}, which leaves one batch of {}, found {}", most,
                                    data.train.name, held_out));
  }
  for (Entry& entry : lineup.entries) {
    const std::string& name = entry.row.spec().name;
    const std::optional<double> usual_rate = entry.row.options().rate;
    // Steps are as many on what is left of the examples, which has fewer of them in an epoch.
    const Index left_per_epoch = (data.train.count() - held_out) / entry.row.options().settings.batch;
    for (Index i = 0; i < options.tune && usual_rate; ++i) {
      const double factor = std::ldexp(1.0, static_cast<int>(i - options.tune / 2));
      entry.choosing.push_back({.directory = directory / "tuning" / fmt::format("{}-x{}", name, factor),
                                .rate = factor * *usual_rate,
                                .seed = derive_seed(seed, kChoosing) >> 1,
                                .epochs = entry.steps > 0 ? epochs_of(entry.steps, left_per_epoch) : entry.epochs,
                                .steps = entry.steps,
                                .validation = held_out});
    }
    for (Index i = 0; i < options.seeds; ++i) {
      const std::uint64_t run_seed = seed + static_cast<std::uint64_t>(i);
      entry.judged.push_back({.directory = directory / fmt::format("{}-seed{}", name, run_seed),
                              .rate = usual_rate,
                              .seed = run_seed,
                              .epochs = entry.epochs,
                              .steps = entry.steps});
    }
  }
}

double seconds_left(const Lineup& lineup) {
  double seconds = 0;
  for (const Entry& entry : lineup.entries) {
    const auto count = std::ranges::count_if(entry.choosing, std::not_fn(is_done)) +
                       std::ranges::count_if(entry.judged, std::not_fn(is_done));
    seconds += static_cast<double>(count) * entry.run_seconds;
  }
  return seconds;
}

double best_rate(std::span<const RowRun> runs, std::span<const Json> results) {
  std::optional<std::size_t> best;
  const auto judge = [&](std::size_t i) {
    return std::pair(results[i].at("test_error").get<double>(), results[i].at("test_loss").get<double>());
  };
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (results[i].at("status") != "diverged" && (!best || judge(i) < judge(*best))) best = i;
  }
  return runs[best.value_or(0)].rate.value();
}

}  // namespace slopewise
