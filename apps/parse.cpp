#include "apps/parse.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"

namespace slopewise {
namespace {

// A verb as CLI11 knows it.
struct Command {
  Verb* verb;
  CLI::App* app;
  std::vector<std::pair<Setting*, CLI::Option*>> options = {};
  std::vector<Command> commands = {};
};

// CLI11's own, which end the parsing before it asks for what is required.
bool ends_parsing(const std::string& name) {
  return name == "help" || name == "help-all" || name == "version";
}

std::string names_of(const Settings& settings, const Setting& setting) {
  if (setting.traits.positional) return setting.name;
  std::string names = "--" + setting.name;
  if (setting.traits.letter) names += fmt::format(",-{}", setting.traits.letter);
  for (const std::string& other : other_names(setting.name)) {
    if (std::ranges::find(settings.all(), other, &Setting::name) == settings.all().end()) names += ",--" + other;
  }
  return names;
}

Command bind(Verb& verb, CLI::App& app) {
  Command command{.verb = &verb, .app = &app};
  app.set_help_flag("-h,--help");
  app.set_help_all_flag("--help-all");
  app.set_version_flag("-v,-V,--version", "");
  for (Setting& setting : verb.settings.all()) {
    if (ends_parsing(setting.name)) continue;
    const std::string names = names_of(verb.settings, setting);
    CLI::Option* option = setting.is_flag() ? app.add_flag(names) : app.add_option(names);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    if (setting.traits.positional && setting.list)
      option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
    command.options.emplace_back(&setting, option);
  }
  if (verb.rest) app.allow_extras();
  if (!verb.verbs.empty()) app.require_subcommand(0, 1);
  for (Verb& each : verb.verbs) command.commands.push_back(bind(each, *app.add_subcommand(each.name())));
  return command;
}

// The command of the last verb that was named.
Command& innermost(Command& command) {
  for (Command& each : command.commands) {
    if (each.app->parsed()) return innermost(each);
  }
  return command;
}

// CLI11 takes "[a,b]" for a list, though a file may have that name; a mark before it keeps it whole.
constexpr char kWhole = '\x1f';

std::string marked(const std::string& word) {
  return word.starts_with('[') || word.starts_with(kWhole) ? kWhole + word : word;
}

std::vector<std::string> unmarked(std::vector<std::string> words) {
  for (std::string& word : words) {
    if (word.starts_with(kWhole)) word.erase(0, 1);
  }
  return words;
}

// What other programs call a verb, and what stands for it here.
constexpr std::pair<std::string_view, std::string_view> kOtherVerbs[] = {
    {"fit", "train"},        {"finetune", "train"},      {"fine-tune", "train"}, {"resume", "train --resume"},
    {"eval", "evaluate"},    {"test", "evaluate"},       {"score", "evaluate"},  {"validate", "evaluate"},
    {"infer", "predict"},    {"inference", "predict"},   {"benchmark", "bench"}, {"grad", "gradient"},
    {"plot", "report"},      {"inspect", "model"},       {"info", "model"},      {"summary", "model"},
    {"list", "show"},        {"describe", "show"},       {"download", "fetch"},  {"get", "fetch"},
    {"fetch", "data fetch"}, {"download", "data fetch"}, {"show", "data show"},  {"list", "data show"},
    {"split", "data split"}, {"version", "--version"},   {"man", "manual"},
};

// What is meant by a word that is no verb.
std::string meant_verb(const Verb& verb, const std::string& word) {
  std::vector<std::string> names;
  for (const Verb& each : verb.verbs) names.push_back(each.name());
  for (const auto& [other, says] : kOtherVerbs) {
    if (other != word) continue;
    const std::string name(says.substr(0, says.find(' ')));
    if (says.starts_with('-') ? verb.settings.find("version") != nullptr
                              : std::ranges::find(names, name) != names.end())
      return fmt::format("; did you mean {}?", says);
  }
  return suggestion(word, names);
}

// "; train and compare have it", of an option that other verbs of the program have.
std::string who_has(const Verb& program, std::string_view option) {
  std::vector<std::string> names;
  for (const Verb& each : program.verbs) {
    const Setting* const setting =
        each.settings.find(option.substr(std::min(option.find_first_not_of('-'), option.size())));
    if (setting && !setting->traits.positional && !setting->traits.hidden) names.push_back(each.name());
  }
  if (names.empty()) return "";
  const std::string last = names.back();
  names.pop_back();
  if (names.empty()) return fmt::format("; {} has it", last);
  return fmt::format("; {} and {} have it", fmt::join(names, ", "), last);
}

// What is wrong with a word that no verb or option took.
std::string unknown(const Verb& program, const Verb& verb, std::string word) {
  std::string message;
  if (word.starts_with('-')) {
    word = word.substr(0, word.find('='));
    std::string meant = verb.settings.suggestion(word);
    if (meant.empty()) meant = who_has(program, word);
    message = fmt::format("unknown option {}{}", word, meant);
  } else {
    message = fmt::format("unknown {} {}{}", verb.verbs.empty() ? "argument" : "verb", word, meant_verb(verb, word));
  }
  return fmt::format("{}\nTry: {} --help", message, verb.path);
}

// CLI11 gives an option the next word, whatever it is, where its value was left out: what is wrong then, or nothing.
std::string left_out(const Command& command) {
  for (const auto& [setting, option] : command.options) {
    if (setting->is_flag() || setting->traits.positional) continue;
    for (const std::string& word : option->results()) {
      if (word.starts_with("--") && command.app->get_option_no_throw(word.substr(0, word.find('='))))
        return fmt::format("{}: expected a value, found the option {}", display_name(*setting), word);
    }
  }
  return "";
}

void set_options(const Command& command) {
  for (const auto& [setting, option] : command.options) {
    if (option->count() == 0) continue;
    try {
      // A flag that is given bare has no word of its own.
      setting->set_words(setting->is_flag() && option->results().empty() ? std::vector<std::string>{"true"}
                                                                         : unmarked(option->results()));
    } catch (const ArgumentError& error) {
      throw ArgumentError(fmt::format("{}: {}", display_name(*setting), error.what()));
    }
  }
  for (const auto& [setting, option] : command.options) {
    if (setting->traits.required && !setting->given)
      throw ArgumentError(fmt::format("{}: expected one, found none", display_name(*setting)));
    const std::string_view other = setting->traits.excludes;
    if (setting->given && !other.empty() && command.verb->settings.given(other))
      throw ArgumentError(fmt::format("{}: expected without --{}", display_name(*setting), other));
  }
}

}  // namespace

Request parse(Verb& program, std::vector<std::string> words) {
  if (!words.empty() && words.front() == "help") {
    Verb* verb = &program;
    for (auto word = words.begin() + 1; word != words.end(); ++word) {
      const auto next = std::ranges::find(verb->verbs, *word, &Verb::name);
      if (next == verb->verbs.end()) throw ArgumentError(unknown(program, *verb, *word));
      verb = &*next;
    }
    return {verb, Request::What::kHelp};
  }
  std::ranges::transform(words, words.begin(), marked);
  CLI::App app;
  Command root = bind(program, app);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the end
  std::string wrong;
  try {
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    return {innermost(root).verb, Request::What::kHelp};
  } catch (const CLI::CallForAllHelp&) {
    return {innermost(root).verb, Request::What::kHelpAll};
  } catch (const CLI::CallForVersion&) {
    return {&program, Request::What::kVersion};
  } catch (const CLI::ExtrasError&) {
    // The words before a verb belong to the app, and it complains of them first; so do verbs that have verbs.
    const Command* command = &root;
    while (command->app->remaining().empty()) {
      const auto next = std::ranges::find_if(command->commands, [](const Command& each) { return each.app->parsed(); });
      if (next == command->commands.end()) break;
      command = &*next;
    }
    wrong = left_out(innermost(root));
    if (wrong.empty())
      throw ArgumentError(unknown(program, *command->verb, unmarked(command->app->remaining()).front()));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string_view name = error.what();
    wrong = fmt::format("{}: expected a value, found none", name.substr(0, name.find(':')));
  } catch (const CLI::ParseError& error) {
    wrong = error.what();
  }
  Command& chosen = innermost(root);
  try {
    if (wrong.empty()) wrong = left_out(chosen);
    if (!wrong.empty()) throw ArgumentError(wrong);
    set_options(chosen);
  } catch (const ArgumentError& error) {
    throw ArgumentError(fmt::format("{}\nTry: {} --help", error.what(), chosen.verb->path));
  }
  if (chosen.verb->rest) *chosen.verb->rest = unmarked(chosen.app->remaining());
  return {chosen.verb};
}

}  // namespace slopewise
