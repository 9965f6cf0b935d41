#include "apps/describe.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "apps/config.hpp"

namespace slopewise {
namespace {

// CLI11 joins an option's type and the descriptions of its checks: "NAME:{a,b}", "N:INT in [1 - 1024]".
void split_type(const std::string& type, OptionWords& words) {
  const std::size_t colon = type.find(':');
  words.value = type.substr(0, colon);
  if (colon == std::string::npos) return;
  const std::string check = type.substr(colon + 1);
  const std::size_t open = check.find_first_of("{["), close = check.find_last_of("}]");
  if (open == std::string::npos || close == std::string::npos) return;
  const std::string inner = check.substr(open + 1, close - open - 1);
  if (check[open] == '{') {
    std::istringstream names(inner);
    for (std::string name; std::getline(names, name, ',');) words.choices.push_back(name);
  } else if (const std::size_t dash = inner.find(" - "); dash != std::string::npos) {
    words.range = inner.substr(0, dash) + " to " + inner.substr(dash + 3);
  }
}

}  // namespace

std::vector<OptionWords> describe_options(const CLI::App& command) {
  std::vector<OptionWords> all;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    OptionWords words{.description = option->get_description(),
                      .standard = option->get_default_str(),
                      .positional = option->get_positional()};
    if (words.positional) {
      words.names.push_back(option->get_single_name());
    } else {
      for (const std::string& name : option->get_snames()) words.names.push_back("-" + name);
      for (const std::string& name : option->get_lnames()) words.names.push_back("--" + name);
    }
    if (!is_flag(*option)) split_type(option->get_type_name(), words);
    if (words.standard.starts_with('[')) words.standard = words.standard.substr(1, words.standard.size() - 2);
    all.push_back(std::move(words));
  }
  return all;
}

std::vector<const CLI::App*> verbs_of(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<std::string> path_of(const CLI::App& command) {
  std::vector<std::string> path;
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) path.push_back(app->get_name());
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace slopewise
