#include "apps/compare/rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apps/config.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/base/nearest.hpp"

namespace slopewise {
namespace {

RowSpec row_of_preset(const std::string& name, const std::string& what, const std::string& preset,
                      bool control = false) {
  return {.name = name, .what = what, .preset = preset, .toml = presets().find(preset).toml, .control = control};
}

RowSpec find_row(const std::string& name) {
  const std::vector<std::string>& built_in = built_in_rows().names();
  if (std::ranges::find(built_in, name) != built_in.end()) return built_in_rows().find(name);
  const std::vector<std::string>& of_presets = presets().names();
  if (std::ranges::find(of_presets, name) != of_presets.end()) return row_of_preset(name, "", name);
  std::vector<std::string> known = built_in;
  known.insert(known.end(), of_presets.begin(), of_presets.end());
  const std::filesystem::path path = name;
  if (path.extension() == ".toml") {
    if (std::ranges::find(known, path.stem().string()) != known.end())
      throw ArgumentError(fmt::format("row {}: expected a file of another name than a row of ours", name));
    return {.name = path.stem().string(), .what = {}, .preset = {}, .toml = read_text(path)};
  }
  throw ArgumentError(fmt::format("row {}: expected a file NAME.toml or one of {}{}", name, fmt::join(known, ", "),
                                  suggestion(name, known)));
}

}  // namespace

const NamedTable<RowSpec>& built_in_rows() {
  static const NamedTable<RowSpec> rows(
      "row", {
                 row_of_preset("backprop", "the exact gradient", "mnist-backprop"),
                 {.name = "backprop-checkpointed",
                  .what = "the same from few layers' activations, the others made again",
                  .preset = {},
                  .toml = "method = \"exact\"\ncheckpointed = true\nrate = 0.002\n"},
                 {.name = "activities",
                  .what = "tangents of activities, K = 8, no prior",
                  .preset = {},
                  .toml = "method = \"activities\"\ntangents = 8\nrate = 0.002\n"},
                 row_of_preset("activities-feedback", "tangents of activities around what a learned feedback expects",
                               "mnist-activities"),
                 {.name = "activities-mirror",
                  .what = "tangents of activities, K = 1, around a weight mirror's gradient, which becomes backprop's",
                  .preset = {},
                  .toml = "method = \"activities\"\ntangents = 1\nprior = \"mirror\"\nrate = 0.002\n"},
                 row_of_preset("local-feedback",
                               "a loss for every layer, tangents of activities around what a learned feedback expects",
                               "mnist-local"),
                 row_of_preset("weights", "rank-one tangents of weights, the last layer exact", "mnist-weights"),
                 {.name = "zeroth-order",
                  .what = "differences of losses along rank-one tangents of weights, K = 8",
                  .preset = {},
                  .toml = "method = \"zeroth-order\"\nlaw = \"rank-one\"\ntangents = 8\nrate = 0.001\n"},
                 row_of_preset("frozen", "control: hidden layers as they were drawn, the last layer exact",
                               "mnist-frozen", true),
                 row_of_preset("local-exact", "control: a loss for every layer, its gradient exact",
                               "mnist-local-exact", true),
             });
  return rows;
}

std::vector<RowSpec> select_rows(const std::vector<std::string>& names) {
  std::vector<RowSpec> rows;
  const auto has = [&](const std::string& name) {
    return std::ranges::any_of(rows, [&](const RowSpec& row) { return row.name == name; });
  };
  for (const std::string& name : names) {
    rows.push_back(find_row(name));
    const std::string& found = rows.back().name;
    if (std::ranges::count(rows, found, &RowSpec::name) > 1)
      throw ArgumentError(fmt::format("row {}: expected each once, found it twice", found));
  }
  for (const RowSpec& row : built_in_rows().entries()) {
    if ((names.empty() || row.control) && !has(row.name)) rows.push_back(row);
  }
  return rows;
}

Row::Row(RowSpec spec, const Settings& shared)
    : spec_(std::move(spec)), options_(std::make_unique<TrainOptions>()), settings_(train_settings(*options_)) {
  for (Setting& setting : settings_.all()) {
    if (setting.part != Part::kTask && setting.part != Part::kShared) continue;
    const Setting& given = shared.at(setting.name);
    if (given.given) setting.set(given.read());
  }
  apply_config(settings_, spec_.toml, "row " + spec_.name,
               [](const Setting& setting) { return setting.part == Part::kMethod || setting.part == Part::kShared; });
  if (settings_.given("preset")) {
    throw ArgumentError(fmt::format("row {}: preset: expected options, found a preset; name {} itself as a row",
                                    spec_.name, options_->preset));
  }
  options_->preset = spec_.preset;
  // A row of ours is for any task; a preset by its own name is for what it says.
  if (spec_.preset == spec_.name) require_task(presets().find(spec_.preset), shared, "row " + spec_.name);
}

std::string Row::command_line() const {
  std::string line = "slopewise train";
  for (const Setting& setting : settings_.all()) {
    const Value value = setting.value();
    if (value == setting.standard || value.is_null()) continue;
    if (setting.name == "out" || setting.name == "quiet" || setting.name == "preset") continue;
    if (!setting.is_flag()) {
      line += fmt::format(" --{} {}", setting.name, shell_word(to_words(value)));
    } else if (value == true) {
      line += " --" + setting.name;
    }
  }
  return line;
}

}  // namespace slopewise
