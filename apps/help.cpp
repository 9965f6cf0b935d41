#include "apps/help.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/report/text.hpp"

namespace slopewise {
namespace {

constexpr int kNames = 26;  // columns of what longer names do not push aside

std::string folded(const std::string& text, int width) {
  return fmt::format("{}\n", fmt::join(wrap(text, width), "\n"));
}

// The name, and beside or below it what it means.
std::string entry(const std::string& name, const std::string& meaning, int width) {
  const int column = std::min(kNames, width / 3);
  const std::string indent(column, ' ');
  std::string text = "  " + name;
  const int used = display_width(text);
  text += used + 2 <= column ? std::string(column - used, ' ') : "\n" + indent;
  return text + fmt::format("{}\n", fmt::join(wrap(meaning, width - column), "\n" + indent));
}

}  // namespace

std::string synopsis(const Setting& setting) {
  if (setting.traits.positional) return setting.label();
  std::string text = setting.traits.letter ? fmt::format("-{}, --{}", setting.traits.letter, setting.name)
                                           : fmt::format("--{}", setting.name);
  if (!setting.is_flag()) text += " " + setting.label();
  return text;
}

std::string description(const Setting& setting) {
  std::vector<std::string> facts;
  if (const std::string names = fmt::format("{}", fmt::join(setting.kind.names, ", ")); !setting.kind.range.empty()) {
    facts.push_back(setting.kind.range + (names.empty() ? "" : ", or " + names));
  } else if (!names.empty()) {
    facts.push_back(names);
  }
  const std::string standard =
      setting.traits.otherwise.empty() ? to_words(setting.standard) : std::string(setting.traits.otherwise);
  if (!setting.is_flag() && !standard.empty()) facts.push_back("default: " + standard);
  return facts.empty() ? setting.help : fmt::format("{} ({})", setting.help, fmt::join(facts, "; "));
}

std::string help(const Verb& verb, bool all, int width) {
  std::string positionals;
  std::vector<std::string> groups;
  int rare = 0;
  for (const Setting& setting : verb.settings.all()) {
    if (setting.traits.hidden) continue;
    if (setting.traits.positional) {
      positionals += setting.traits.required ? " " + setting.label() : fmt::format(" [{}]", setting.label());
    }
    if (setting.traits.rare) ++rare;
    if (std::ranges::find(groups, setting.group) == groups.end()) groups.push_back(setting.group);
  }
  std::string text = folded(verb.summary, width);
  text += fmt::format("\nUsage: {} [OPTIONS]{}{}\n", verb.path, verb.verbs.empty() ? "" : " VERB", positionals);
  if (!verb.verbs.empty()) text += "\nVerbs:\n";
  for (const Verb& each : verb.verbs) text += entry(each.name(), each.summary, width);
  for (const std::string& group : groups) {
    std::string options;
    for (const Setting& setting : verb.settings.all()) {
      if (setting.group != group || setting.traits.hidden || (setting.traits.rare && !all)) continue;
      options += entry(synopsis(setting), description(setting), width);
    }
    if (!options.empty()) text += fmt::format("\n{}:\n{}", group.empty() ? "Options" : group, options);
  }
  if (rare > 0 && !all) text += "\n" + folded(fmt::format("{} options more: {} --help-all", rare, verb.path), width);
  if (!verb.notes.empty()) text += "\n" + folded(verb.notes, width);
  if (!verb.examples.empty()) text += fmt::format("\nExamples:\n  {}\n", fmt::join(verb.examples, "\n  "));
  return text;
}

}  // namespace slopewise
