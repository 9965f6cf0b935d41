#include "apps/config.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"

namespace slopewise {
namespace {

std::vector<CLI::ConfigItem> parse(const std::string& toml, const std::string& source) {
  std::istringstream stream(toml);
  try {
    return CLI::ConfigTOML().from_config(stream);
  } catch (const CLI::Error& error) {
    throw ArgumentError(fmt::format("{}: {}", source, error.what()));
  }
}

// CLI11 marks where a section begins and ends by items of these names.
bool is_section_mark(const CLI::ConfigItem& item) {
  return item.name == "++" || item.name == "--";
}

CLI::Option& find_option(CLI::App& command, const std::string& name, const std::string& source) {
  std::vector<std::string> names;
  for (CLI::Option* option : command.get_options()) {
    if (!option->get_configurable()) continue;
    names.push_back(option->get_single_name());
    if (names.back() == name) return *option;
  }
  throw ArgumentError(
      fmt::format("{}: {} is no option of {}{}", source, name, command.get_name(), suggestion(name, names)));
}

void set_option(CLI::Option& option, const CLI::ConfigItem& item) {
  if (is_flag(option)) {
    const std::string value = item.inputs.size() == 1 ? item.inputs[0] : "";
    if (value != "true" && value != "false") throw CLI::ValidationError(item.name, "expected true or false");
  }
  option.add_result(item.inputs);
  option.run_callback();
}

// A word as TOML: numbers and truth values are bare, all else is quoted.
std::string toml_word(const std::string& word) {
  double number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (word == "true" || word == "false" || (error == std::errc() && end == word.data() + word.size())) return word;
  return '"' + word + '"';
}

// What the option was given or, failing that, its default, which CLI11 writes as "[256,256]" if it is a list; "" where
// there is neither.
std::string value_of(const CLI::Option& option) {
  if (is_flag(option)) return is_on(option) ? "true" : "false";
  std::vector<std::string> words = option.results();
  const std::string standard = option.get_default_str();
  bool list = words.size() > 1;
  if (words.empty() && standard.starts_with('[')) {
    list = true;
    words = CLI::detail::split(standard.substr(1, standard.size() - 2), ',');
  } else if (words.empty() && !standard.empty()) {
    words = {standard};
  }
  if (words.empty()) return "";
  for (std::string& word : words) word = toml_word(word);
  return list ? fmt::format("[{}]", fmt::join(words, ", ")) : words.front();
}

}  // namespace

bool is_flag(const CLI::Option& option) {
  return option.get_expected_max() == 0;
}

bool is_on(const CLI::Option& flag) {
  return flag.count() > 0 && flag.as<bool>();
}

void apply_config(CLI::App& command, const std::string& toml, const std::string& source) {
  for (const CLI::ConfigItem& item : parse(toml, source)) {
    if (!item.parents.empty() && item.parents != std::vector{command.get_name()}) {
      throw ArgumentError(fmt::format("{}: expected options of {}, found those of {}", source, command.get_name(),
                                      fmt::join(item.parents, " ")));
    }
    if (is_section_mark(item)) continue;
    CLI::Option& option = find_option(command, item.name, source);
    if (option.count() > 0) continue;
    try {
      set_option(option, item);
    } catch (const CLI::Error& error) {
      throw ArgumentError(fmt::format("{}: {}", source, error.what()));
    }
  }
}

std::string config_of(const CLI::App& command, ConfigPart part) {
  std::string toml = fmt::format("[{}]\n", command.get_name());
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_configurable() || (part == ConfigPart::kGiven && option->count() == 0)) continue;
    const std::string value = value_of(*option);
    if (!value.empty()) toml += fmt::format("{} = {}\n", option->get_single_name(), value);
  }
  return toml;
}

void write_config(const std::filesystem::path& directory, const CLI::App& command, ConfigPart part) {
  write_text(directory / "config.toml", config_of(command, part));
}

std::string verb_of_config(const std::string& toml, const std::string& source) {
  for (const CLI::ConfigItem& item : parse(toml, source)) {
    if (!item.parents.empty()) return item.parents.front();
  }
  throw ArgumentError(fmt::format("{}: expected the verb's name in brackets above its options, found none", source));
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw FileError(fmt::format("{}: cannot read", path.string()));
  return text;
}

}  // namespace slopewise
