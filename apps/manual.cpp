// slopewise manual: a page for man(1) of the program and of each verb, from the words of --help.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "apps/help.hpp"
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

std::string option_entry(const Setting& setting) {
  std::string names = roff("--" + setting.name);
  if (setting.traits.letter)
    names = fmt::format("{}\\fR, \\fB{}", roff(fmt::format("-{}", setting.traits.letter)), names);
  if (setting.traits.positional) names = roff(setting.label());
  std::string entry = fmt::format(".TP\n\\fB{}\\fR", names);
  if (!setting.is_flag() && !setting.traits.positional) entry += fmt::format(" \\fI{}\\fR", roff(setting.label()));
  return entry + "\n" + roff(description(setting)) + ".\n";
}

std::string page(const Verb& verb) {
  std::string options, positionals;
  for (const Setting& setting : verb.settings.all()) {
    if (setting.traits.hidden) continue;
    options += option_entry(setting);
    if (setting.traits.positional) positionals += fmt::format(" \\fI{}\\fR", roff(setting.label()));
  }
  std::string title = verb.path;
  std::ranges::replace(title, ' ', '-');
  std::string text = fmt::format(
      ".TH \"{0}\" 1 \"\" \"slopewise {1}\"\n.SH NAME\n{0} \\- {2}\n.SH SYNOPSIS\n\\fB{3}\\fR [\\fIOPTIONS\\fR]{4}{5}\n"
      ".SH DESCRIPTION\n{2}\n",
      roff(title), version(), roff(verb.summary), roff(verb.path), verb.verbs.empty() ? "" : " [\\fIVERB\\fR]",
      positionals);
  if (!verb.verbs.empty()) text += ".SH VERBS\n";
  for (const Verb& each : verb.verbs)
    text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(each.name()), roff(each.summary));
  text += ".SH OPTIONS\n" + options;
  if (!verb.notes.empty()) text += fmt::format(".PP\n{}\n", roff(verb.notes));
  if (!verb.examples.empty())
    text += fmt::format(".SH EXAMPLES\n.nf\n{}\n.fi\n", roff(fmt::format("{}", fmt::join(verb.examples, "\n"))));
  return text + ".SH EXIT STATUS\n0: done. 1: the work failed. 2: wrong usage. 128 + n: ended by signal n.\n";
}

void write_pages(const Verb& verb, const std::filesystem::path& directory) {
  std::string name = verb.path;
  std::ranges::replace(name, ' ', '-');
  write_text(directory / (name + ".1"), page(verb));
  for (const Verb& each : verb.verbs) write_pages(each, directory);
}

}  // namespace

Verb manual_verb(const Verb& program) {
  const auto directory = std::make_shared<std::string>();
  Verb verb{.settings = Settings("manual"), .summary = "Write the manual pages of the program and of its verbs"};
  verb.settings.add("directory", *directory, text("DIR"), "Directory to write them to, slopewise.1 and so on",
                    {.positional = true, .required = true});
  verb.examples = {"slopewise manual man1", "man -l man1/slopewise-study.1"};
  verb.run = [&program, directory](Settings&) {
    ensure_writable_directory(*directory);
    write_pages(program, *directory);
    return 0;
  };
  return verb;
}

}  // namespace slopewise
