// slopewise completion: what bash and zsh need to complete verbs, options and the names that options take.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <memory>

#include "apps/verb.hpp"

namespace slopewise {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// "data show": the verbs below the program's name.
std::string verb_words(const Verb& verb) {
  const std::size_t space = verb.path.find(' ');
  return space == std::string::npos ? "" : verb.path.substr(space + 1);
}

// "-q", "--quiet".
std::vector<std::string> option_words(const Setting& setting) {
  std::vector<std::string> words;
  if (setting.traits.letter) words.push_back(fmt::format("-{}", setting.traits.letter));
  words.push_back("--" + setting.name);
  return words;
}

struct BashCases {
  std::string verbs;   // from the words so far to the verb
  std::string values;  // from verb and option to what the option takes
  std::string words;   // from verb to what may follow
};

void add_bash_cases(const Verb& verb, BashCases& cases) {
  const std::string path = verb_words(verb);
  std::vector<std::string> words;
  for (const Verb& each : verb.verbs) {
    words.push_back(each.name());
    cases.verbs += fmt::format("      '{} {}') verb='{}' ;;\n", path, each.name(), verb_words(each));
    add_bash_cases(each, cases);
  }
  for (const Setting& setting : verb.settings.all()) {
    if (setting.traits.hidden) continue;
    if (setting.traits.positional) {
      words.insert(words.end(), setting.kind.names.begin(), setting.kind.names.end());
      continue;
    }
    const std::vector<std::string> names = option_words(setting);
    words.insert(words.end(), names.begin(), names.end());
    if (setting.is_flag()) continue;
    cases.values +=
        fmt::format("    '{} {}') {} '{}'; return ;;\n", path, fmt::join(names, fmt::format("'|'{} ", path)),
                    setting.list ? "choose_more" : "choose", fmt::join(setting.kind.names, " "));
  }
  cases.words += fmt::format("    '{}') choose '{}' ;;\n", path, fmt::join(words, " "));
}

std::string bash_completion(const Verb& program) {
  BashCases cases;
  add_bash_cases(program, cases);
  // Where nothing fits, bash completes file names (-o default).
  return fmt::format(
      "# bash completion of slopewise; made by: slopewise completion bash\n"
      "_slopewise() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} verb='' each\n"
      "  choose() {{ mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$word\"); }}\n"
      // Of a list, what follows the last comma is completed.
      "  choose_more() {{\n"
      "    local before=''\n"
      "    [[ $word == *,* ]] && before=\"${{word%,*}},\"\n"
      "    mapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$1\" -- \"${{word##*,}}\")\n"
      "  }}\n"
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

std::string zsh_function(const Verb& verb) {
  const auto name = [](const Verb& each) {
    std::string text = "_" + each.path;
    replace_all(text, " ", "_");
    return text;
  };
  std::string arguments;
  for (const Setting& setting : verb.settings.all()) {
    if (setting.traits.hidden) continue;
    const std::vector<std::string>& names = setting.kind.names;
    const std::string choices = names.empty()  ? "_files"
                                : setting.list ? fmt::format("_values -s , name {}", fmt::join(names, " "))
                                               : fmt::format("({})", fmt::join(names, " "));
    const std::string value = setting.is_flag() ? "" : fmt::format(":{}:{}", zsh_text(setting.label()), choices);
    if (setting.traits.positional) {
      arguments += fmt::format(" \\\n    '*{}'", value);
      continue;
    }
    const std::vector<std::string> words = option_words(setting);
    for (const std::string& each : words) {
      arguments += fmt::format(" \\\n    '({}){}[{}]{}'", fmt::join(words, " "), each, zsh_text(setting.help), value);
    }
  }
  if (verb.verbs.empty()) return fmt::format("{}() {{\n  _arguments -s{}\n}}\n", name(verb), arguments);

  std::string list, cases, functions;
  for (const Verb& each : verb.verbs) {
    list += fmt::format("        '{}:{}'\n", each.name(), zsh_text(each.summary));
    cases += fmt::format("        {}) {} ;;\n", each.name(), name(each));
    functions += zsh_function(each);
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
                         name(verb), arguments, list, cases);
}

std::string zsh_completion(const Verb& program) {
  return fmt::format("#compdef slopewise\n# made by: slopewise completion zsh\n{}_slopewise \"$@\"\n",
                     zsh_function(program));
}

}  // namespace

Verb completion_verb(const Verb& program) {
  const auto shell = std::make_shared<std::string>();
  Verb verb{.settings = Settings("completion"), .summary = "Print what a shell needs to complete this command line"};
  Kind kind = one_of({"bash", "zsh"});
  kind.label = "SHELL";
  verb.settings.add("shell", *shell, std::move(kind), "Shell", {.positional = true, .required = true});
  verb.examples = {"source <(slopewise completion bash)", "slopewise completion zsh > ~/.zfunc/_slopewise"};
  verb.run = [&program, shell](Settings&) {
    std::cout << (*shell == "bash" ? bash_completion(program) : zsh_completion(program));
    return 0;
  };
  return verb;
}

}  // namespace slopewise
