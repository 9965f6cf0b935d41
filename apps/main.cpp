// The command line's frame: parses, runs the chosen verb, and turns every failure into one message and an exit code:
// 0 done, 1 the work failed, 2 wrong usage.
#include <fmt/format.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <new>
#include <numeric>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "apps/verb.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/base/version.hpp"

namespace slopewise {
namespace {

constexpr int kFailed = 1;

std::string version_text() {
  // Highway numbers its targets from the best down.
  const std::int64_t supported = hwy::SupportedTargets();
  const dnnl_version_t& dnnl = *dnnl::version();
  return fmt::format(
      "slopewise {}\n"
      "compiler         {} {}\n"
      "instruction set  {} (as Highway names it)\n"
      "oneDNN           {}.{}.{}\n"
      "threads          {}",
      version(),
#ifdef __clang__
      "Clang", __clang_version__,
#else
      "GCC", __VERSION__,
#endif
      hwy::TargetName(supported & -supported), dnnl.major, dnnl.minor, dnnl.patch, thread_count());
}

// The least number of insertions, deletions, replacements and swaps of neighbours that turn one word into the other
// (optimal string alignment).
std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before(to.size() + 1), previous(to.size() + 1), current(to.size() + 1);
  std::iota(previous.begin(), previous.end(), 0);
  for (std::size_t i = 1; i <= from.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (from[i - 1] != to[j - 1])});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[to.size()];
}

// The name nearest to a mistyped one, or "" where none is near: a third of the letters may be wrong.
std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  std::string best;
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& name : names) {
    const std::size_t distance = edit_distance(word, name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
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
  const std::string suggestion = nearest(word, names);
  return fmt::format("unknown {} {}{}", kind, word, suggestion.empty() ? "" : "; did you mean " + suggestion + "?");
}

// Throws where standard output took less than was written, on a full disk for example.
void flush_output() {
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0 || std::ferror(stdout)) throw Error("cannot write to standard output");
}

int run(int argc, char** argv) {
  CLI::App app("Forward gradients with error bars: gradients from directional slopes, without a backward pass.",
               "slopewise");
  app.set_version_flag("-V,--version", version_text, "Print the version and what it runs on, then exit");
  app.require_subcommand(0, 1);
  app.get_formatter()->label("SUBCOMMAND", "VERB");
  app.get_formatter()->label("Subcommands", "Verbs");
  app.footer("Each verb explains itself: slopewise VERB --help");
  const Verb verbs[] = {
      add_study(app),
      add_train(app),
      add_gradient(app),
      add_bench(app),
      add_data(app),
      add_report(app),
  };

  const auto chosen = [&] {
    return std::find_if(std::begin(verbs), std::end(verbs), [](const Verb& verb) { return verb.command->parsed(); });
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // help or version
      app.exit(error);
      flush_output();
      return 0;
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

  const Verb* verb = chosen();
  int exit_code = 0;
  if (verb == std::end(verbs)) {
    std::cout << app.help();
  } else {
    install_interrupt_handler();
    exit_code = verb->run();
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
    return run(argc, argv);
  } catch (const Error& error) {
    return report(error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return report("out of memory: try a smaller model, batch or number of tangents", kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), kFailed);
  }
}
