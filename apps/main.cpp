// The command line's frame: parses, runs the chosen verb, and turns every failure into one message and an exit code:
// 0 done, 1 the work failed, 2 wrong usage, 128 + n ended by signal n.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "apps/arguments.hpp"
#include "apps/help.hpp"
#include "apps/parse.hpp"
#include "apps/program.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/report/terminal.hpp"
#include "slopewise/tensor/instruction_set.hpp"
#include "slopewise/tensor/machine.hpp"
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

// Throws where standard output took less than was written: on a full disk for example, or where nobody reads it, which
// exits as a shell says of SIGPIPE.
void flush_output() {
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0 || std::ferror(stdout))
    throw Error("cannot write to standard output", pipe_broken() ? 128 + SIGPIPE : kFailed);
}

int run(std::vector<std::string> words) {
  CommonOptions common;
  const std::unique_ptr<Verb> program = make_program(common, run);
  int exit_code = 0;
  const Request request = parse(*program, std::move(words));
  if (request.what == Request::What::kVersion) {
    std::cout << version_text() << '\n';
  } else if (request.what != Request::What::kRun || !request.verb->run) {
    std::cout << help(*request.verb, request.what == Request::What::kHelpAll, terminal_width(1));
  } else {
    apply(common, request.verb->settings);
    install_interrupt_handler();
    exit_code = request.verb->run(request.verb->settings);
  }
  flush_output();
  return exit_code;
}

int report(std::string_view message, int exit_code) {
  std::cout.flush();
  std::cerr << "slopewise: " + std::string(message) + '\n';  // in one piece, as other ranks write there too
  return exit_code;
}

}  // namespace
}  // namespace slopewise

int main(int argc, char** argv) {
  using namespace slopewise;
  try {
    return run({argv + 1, argv + argc});
  } catch (const Error& error) {
    // What a signal has ended exits as a shell says of it.
    return report(error.what(), interrupted() ? 128 + interrupting_signal() : error.exit_code());
  } catch (const std::bad_alloc&) {
    return report("out of memory: try a smaller model, batch or number of tangents", kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), kFailed);
  }
}
