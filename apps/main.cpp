// The command line's frame: parses, runs the chosen verb, and turns every failure into one message and an exit code:
// 0 done, 1 the work failed, 2 wrong usage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "apps/arguments.hpp"
#include "apps/bench/machine.hpp"
#include "apps/config.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/tensor/instruction_set.hpp"
#include "slopewise/tensor/products/backend.hpp"

namespace slopewise {
namespace {

constexpr int kFailed = 1;

std::string version_text() {
  return fmt::format(
      "slopewise {}\n"
      "compiler         {} {}\n"
      "processor        {}\n"
      "instruction set  {}\n"
      "products         {}\n"
      "threads          {}",
      version(),
#ifdef __clang__
      "Clang", __clang_version__,
#else
      "GCC", __VERSION__,
#endif
      processor_name(), instruction_set_name(instruction_set()), describe_products(), thread_count());
}

// What is wrong with an argument that no verb or option took.
std::string explain_unexpected(const CLI::App& command) {
  std::string word = command.remaining().front();
  const bool option = word.starts_with('-');
  std::vector<std::string> names;
  if (option) {
    word = word.substr(0, word.find('='));
    for (const CLI::Option* known : command.get_options()) {
      for (const std::string& name : known->get_lnames()) names.push_back("--" + name);
    }
  } else {
    for (const CLI::App* verb : command.get_subcommands({})) names.push_back(verb->get_name());
  }
  const char* kind = option ? "option" : names.empty() ? "argument" : "verb";
  return fmt::format("unknown {} {}{}", kind, word, suggestion(word, names));
}

// Throws where standard output took less than was written, on a full disk for example.
void flush_output() {
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0 || std::ferror(stdout)) throw Error("cannot write to standard output");
}

// The verb that was chosen, or the verb of a verb.
CLI::App& innermost(CLI::App& app) {
  CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

// Throws ArgumentError for what the words get wrong. False where they ask for help or the version, which is printed.
bool parse(CLI::App& app, std::vector<std::string> words) {
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the end
  try {
    app.parse(std::move(words));
    return true;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return false;
    }
    const bool unexpected = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
    // The words before a verb belong to the app, and it complains of them first; so do verbs that have verbs.
    const CLI::App* command = &app;
    std::string path;
    while (command->remaining().empty() && !command->get_subcommands().empty()) {
      command = command->get_subcommands().front();
      path += command->get_name() + " ";
    }
    throw ArgumentError(
        fmt::format("{}\nTry: slopewise {}--help", unexpected ? explain_unexpected(*command) : error.what(), path));
  }
}

int run(std::vector<std::string> words) {
  CLI::App app("Forward gradients with error bars: gradients from directional slopes, without a backward pass.",
               "slopewise");
  app.set_version_flag("-V,--version", version_text, "Print the version and what it runs on, then exit");
  app.require_subcommand(0, 1);
  app.get_formatter()->label("SUBCOMMAND", "VERB");
  app.get_formatter()->label("Subcommands", "Verbs");
  app.footer("Each verb explains itself: slopewise VERB --help");
  const Verb verbs[] = {
      add_study(app), add_train(app),  add_compare(app),    add_gradient(app),   add_bench(app),
      add_data(app),  add_report(app), add_rerun(app, run), add_completion(app), add_manual(app),
  };
  CommonOptions common;
  add_common_options(app, common);

  int exit_code = 0;
  if (parse(app, std::move(words))) {
    const auto verb =
        std::find_if(std::begin(verbs), std::end(verbs), [](const Verb& each) { return each.command->parsed(); });
    if (verb == std::end(verbs)) {
      std::cout << app.help();
    } else {
      apply(common, innermost(app));
      install_interrupt_handler();
      exit_code = verb->run();
    }
  }
  flush_output();
  return exit_code;
}

int report(std::string_view message, int exit_code) {
  std::cout.flush();
  std::cerr << "slopewise: " << message << '\n';
  return exit_code;
}

}  // namespace
}  // namespace slopewise

int main(int argc, char** argv) {
  using namespace slopewise;
  try {
    return run({argv + 1, argv + argc});
  } catch (const Error& error) {
    return report(error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return report("out of memory: try a smaller model, batch or number of tangents", kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), kFailed);
  }
}
