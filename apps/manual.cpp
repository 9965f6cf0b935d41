// slopewise manual: a page for man(1) of the program and of each verb, from the words of --help.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <sstream>

#include "apps/describe.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/version.hpp"

namespace slopewise {
namespace {

// Text as roff: a backslash, a dash and a line's first dot or quote stand for themselves.
std::string roff(std::string_view text) {
  std::string result;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) result += "\\&";
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
    line_start = c == '\n';
  }
  return result;
}

std::string option_entry(const OptionWords& option) {
  std::string names;
  for (const std::string& name : option.names)
    names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", roff(name));
  std::string entry = fmt::format(".TP\n{}", names);
  if (!option.value.empty() && !option.positional) entry += fmt::format(" \\fI{}\\fR", roff(option.value));
  entry += "\n" + roff(option.description);
  if (!option.choices.empty()) entry += roff(fmt::format(": {}", fmt::join(option.choices, ", ")));
  if (!option.range.empty()) entry += roff(fmt::format(", {}", option.range));
  if (!option.standard.empty()) entry += roff(fmt::format(" (default: {})", option.standard));
  return entry + ".\n";
}

// A footer is paragraphs of prose, and "Examples:" with indented lines below.
std::string footer_sections(const std::string& footer) {
  std::string prose, examples;
  bool in_examples = false;
  std::istringstream lines(footer);
  for (std::string line; std::getline(lines, line);) {
    if (line == "Examples:") {
      in_examples = true;
    } else if (in_examples) {
      examples += roff(line) + "\n";
    } else if (!line.empty()) {
      prose += roff(line) + "\n";
    }
  }
  if (!prose.empty()) prose = ".PP\n" + prose;
  if (!examples.empty()) examples = ".SH EXAMPLES\n.nf\n" + examples + ".fi\n";
  return prose + examples;
}

std::string page(const CLI::App& command) {
  const std::vector<std::string> path = path_of(command);
  const std::vector<OptionWords> options = describe_options(command);
  const std::vector<const CLI::App*> verbs = verbs_of(command);
  std::string positionals;
  for (const OptionWords& option : options) {
    if (option.positional) positionals += fmt::format(" \\fI{}\\fR", roff(option.names.front()));
  }
  std::string text = fmt::format(
      ".TH \"{0}\" 1 \"\" \"slopewise {1}\"\n.SH NAME\n{2} \\- {3}\n.SH SYNOPSIS\n\\fB{4}\\fR [\\fIOPTIONS\\fR]{5}{6}\n"
      ".SH DESCRIPTION\n{3}\n",
      roff(fmt::format("{}", fmt::join(path, "-"))), version(), roff(fmt::format("{}", fmt::join(path, "-"))),
      roff(command.get_description()), roff(fmt::format("{}", fmt::join(path, " "))),
      verbs.empty() ? "" : " [\\fIVERB\\fR]", positionals);
  if (!verbs.empty()) text += ".SH VERBS\n";
  for (const CLI::App* verb : verbs) {
    text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(verb->get_name()), roff(verb->get_description()));
  }
  text += ".SH OPTIONS\n";
  for (const OptionWords& option : options) text += option_entry(option);
  text += footer_sections(command.get_footer());
  return text + ".SH EXIT STATUS\n0: done. 1: the work failed. 2: wrong usage.\n";
}

void write_pages(const CLI::App& command, const std::filesystem::path& directory) {
  write_text(directory / fmt::format("{}.1", fmt::join(path_of(command), "-")), page(command));
  for (const CLI::App* verb : verbs_of(command)) write_pages(*verb, directory);
}

}  // namespace

Verb add_manual(CLI::App& app) {
  CLI::App* command = app.add_subcommand("manual", "Write the manual pages of the program and of its verbs");
  const auto directory = std::make_shared<std::string>();
  command->add_option("DIR", *directory, "Directory to write them to, slopewise.1 and so on")
      ->required()
      ->type_name("DIR");
  command->footer(
      "Examples:\n"
      "  slopewise manual man1\n"
      "  man -l man1/slopewise-study.1");
  return {command, [&app, directory] {
            ensure_writable_directory(*directory);
            write_pages(app, *directory);
            return 0;
          }};
}

}  // namespace slopewise
