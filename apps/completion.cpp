// slopewise completion: what bash and zsh need to complete verbs, options and the names that options take.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/arguments.hpp"
#include "apps/describe.hpp"
#include "apps/verb.hpp"

namespace slopewise {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// "data show": the verbs below the program's name.
std::string verb_words(const CLI::App& command) {
  const std::vector<std::string> path = path_of(command);
  return fmt::format("{}", fmt::join(path.begin() + 1, path.end(), " "));
}

struct BashCases {
  std::string verbs;   // from the words so far to the verb
  std::string values;  // from verb and option to what the option takes
  std::string words;   // from verb to what may follow
};

void add_bash_cases(const CLI::App& command, BashCases& cases) {
  const std::string verb = verb_words(command);
  std::vector<std::string> words;
  bool files = false;
  for (const CLI::App* each : verbs_of(command)) {
    words.push_back(each->get_name());
    cases.verbs += fmt::format("      '{} {}') verb='{}' ;;\n", verb, each->get_name(), verb_words(*each));
    add_bash_cases(*each, cases);
  }
  for (const OptionWords& option : describe_options(command)) {
    files = files || option.positional;
    if (option.positional) {
      words.insert(words.end(), option.choices.begin(), option.choices.end());
      continue;
    }
    words.insert(words.end(), option.names.begin(), option.names.end());
    if (option.value.empty()) continue;
    cases.values += fmt::format("    '{} {}') choose '{}'; return ;;\n", verb,
                                fmt::join(option.names, fmt::format("'|'{} ", verb)), fmt::join(option.choices, " "));
  }
  cases.words += fmt::format("    '{}') choose '{}' ;;\n", verb, fmt::join(words, " "));
}

std::string bash_completion(const CLI::App& app) {
  BashCases cases;
  add_bash_cases(app, cases);
  // Where nothing fits, bash completes file names (-o default).
  return fmt::format(
      "# bash completion of slopewise; made by: slopewise completion bash\n"
      "_slopewise() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} verb='' each\n"
      "  choose() {{ mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$word\"); }}\n"
      "  for each in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
      "    case \"$verb $each\" in\n{}"
      "    esac\n"
      "  done\n"
      "  case \"$verb ${{COMP_WORDS[COMP_CWORD-1]}}\" in\n{}"
      "  esac\n"
      "  case $verb in\n{}"
      "  esac\n"
      "}}\n"
      "complete -o default -F _slopewise slopewise\n",
      cases.verbs, cases.values, cases.words);
}

// Text inside single quotes, where zsh gives brackets and colons a meaning.
std::string zsh_text(std::string text) {
  for (const char* special : {"\\", "[", "]", ":"}) replace_all(text, special, std::string("\\") + special);
  replace_all(text, "'", "'\\''");
  return text;
}

std::string zsh_function(const CLI::App& command) {
  const auto name = [](const CLI::App& app) { return fmt::format("_{}", fmt::join(path_of(app), "_")); };
  std::string arguments;
  for (const OptionWords& option : describe_options(command)) {
    const std::string value =
        option.value.empty()
            ? ""
            : fmt::format(":{}:{}", zsh_text(option.value),
                          option.choices.empty() ? "_files" : fmt::format("({})", fmt::join(option.choices, " ")));
    if (option.positional) {
      arguments += fmt::format(" \\\n    '*{}'", value);
      continue;
    }
    for (const std::string& each : option.names) {
      arguments += fmt::format(" \\\n    '({}){}[{}]{}'", fmt::join(option.names, " "), each,
                               zsh_text(option.description), value);
    }
  }
  const std::vector<const CLI::App*> verbs = verbs_of(command);
  if (verbs.empty()) return fmt::format("{}() {{\n  _arguments -s{}\n}}\n", name(command), arguments);

  std::string list, cases, functions;
  for (const CLI::App* verb : verbs) {
    list += fmt::format("        '{}:{}'\n", verb->get_name(), zsh_text(verb->get_description()));
    cases += fmt::format("        {}) {} ;;\n", verb->get_name(), name(*verb));
    functions += zsh_function(*verb);
  }
  return functions + fmt::format(
                         "{}() {{\n"
                         "  local state line\n"
                         "  _arguments -C{} \\\n    '1: :->verb' '*:: :->rest'\n"
                         "  case $state in\n"
                         "    verb)\n      local -a verbs=(\n{}      )\n      _describe verb verbs ;;\n"
                         "    rest)\n      case $line[1] in\n{}      esac ;;\n"
                         "  esac\n"
                         "}}\n",
                         name(command), arguments, list, cases);
}

std::string zsh_completion(const CLI::App& app) {
  return fmt::format("#compdef slopewise\n# made by: slopewise completion zsh\n{}_slopewise \"$@\"\n",
                     zsh_function(app));
}

}  // namespace

Verb add_completion(CLI::App& app) {
  CLI::App* command = app.add_subcommand("completion", "Print what a shell needs to complete this command line");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "Shell")->required()->type_name("NAME")->check(one_of({"bash", "zsh"}));
  command->footer(
      "Examples:\n"
      "  source <(slopewise completion bash)\n"
      "  slopewise completion zsh > ~/.zfunc/_slopewise");
  return {command, [&app, shell] {
            std::cout << (*shell == "bash" ? bash_completion(app) : zsh_completion(app));
            return 0;
          }};
}

}  // namespace slopewise
