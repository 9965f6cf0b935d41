#include "apps/compare/rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <sstream>

#include "apps/config.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"

namespace slopewise {
namespace {

// Options beside the network's that are the task's: with another value a row would be another experiment.
constexpr std::array kTask{"label-smoothing", "input-dropout", "dropout", "weight-decay", "average",
                           "batch",           "epochs",        "seconds", "steps",        "forwards"};

bool is_task(const CLI::App& train, const std::string& name) {
  const CLI::Option* option = train.get_option_no_throw("--" + name);
  return (option && option->get_group() == "What is trained") || std::ranges::find(kTask, name) != kTask.end();
}

std::string name_of(const CLI::Option& option) {
  return option.get_lnames().empty() ? std::string() : option.get_lnames()[0];
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
  return first == std::string::npos ? std::string() : text.substr(first, last - first + 1);
}

RowSpec row_of_preset(const std::string& name, const std::string& what, const std::string& preset,
                      bool control = false) {
  return {.name = name, .what = what, .preset = preset, .toml = find_preset(preset).toml, .control = control};
}

RowSpec find_row(const std::string& name) {
  for (const RowSpec& row : built_in_rows()) {
    if (row.name == name) return row;
  }
  for (const Preset& preset : presets()) {
    if (preset.name == name) return row_of_preset(name, "", name);
  }
  std::vector<std::string> known;
  for (const RowSpec& row : built_in_rows()) known.push_back(row.name);
  for (const Preset& preset : presets()) known.emplace_back(preset.name);
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

std::span<const RowSpec> built_in_rows() {
  static const std::vector<RowSpec> rows{
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
      row_of_preset("frozen", "control: hidden layers as they were drawn, the last layer exact", "mnist-frozen", true),
      row_of_preset("local-exact", "control: a loss for every layer, its gradient exact", "mnist-local-exact", true),
  };
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
  for (const RowSpec& row : built_in_rows()) {
    if ((names.empty() || row.control) && !has(row.name)) rows.push_back(row);
  }
  return rows;
}

std::string lines_of(Part part, const std::string& toml) {
  TrainOptions options;
  CLI::App train("", "train");
  add_train_options(train, options);
  std::istringstream lines(toml);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const std::string name = trimmed(line.substr(0, line.find('=')));
    if (name.empty() || name.starts_with('#')) continue;
    if (is_task(train, name) == (part == Part::kTask)) kept += line + "\n";
  }
  return kept;
}

Row::Row(RowSpec spec, const CLI::App& shared)
    : spec_(std::move(spec)),
      options_(std::make_unique<TrainOptions>()),
      command_(std::make_unique<CLI::App>("", "train")) {
  add_train_options(*command_, *options_);
  for (const CLI::Option* given : shared.get_options()) {
    CLI::Option* option = command_->get_option_no_throw("--" + name_of(*given));
    if (!option || !option->get_configurable() || given->count() == 0 || name_of(*given) == "preset") continue;
    option->add_result(given->results());
    option->run_callback();
  }
  apply_config(*command_, lines_of(Part::kMethod, spec_.toml), "row " + spec_.name);
  options_->preset = spec_.preset;
}

Row::Row(Row&&) noexcept = default;
Row& Row::operator=(Row&&) noexcept = default;
Row::~Row() = default;

void Row::set(const std::string& name, const std::string& value) {
  CLI::Option* option = command_->get_option("--" + name);
  option->clear();
  option->add_result(value);
  option->run_callback();
}

std::string Row::command_line() const {
  std::string line = "slopewise train";
  for (const CLI::Option* option : command_->get_options()) {
    const std::string name = name_of(*option), value = fmt::format("{}", fmt::join(option->results(), ","));
    if (option->count() == 0 || name == "out" || name == "quiet" || value == option->get_default_str()) continue;
    if (!is_flag(*option)) {
      line += fmt::format(" --{} {}", name, value);
    } else if (is_on(*option)) {
      line += " --" + name;
    }
  }
  return line;
}

}  // namespace slopewise
