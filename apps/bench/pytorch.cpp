#include "apps/bench/pytorch.hpp"

#include <fmt/format.h>

#include <chrono>
#include <sstream>
#include <thread>

#include "slopewise/base/error.hpp"

namespace slopewise {

extern const char* const kPyTorchScript;  // pytorch.py; the build makes its definition

namespace {

// Threads of OpenMP and of OpenBLAS look for more work for some milliseconds before they sleep (libgomp 300,000 looks,
// OpenBLAS 2²⁶ cycles: 8 and 26 ms at 2.6 GHz); only then may the other process be timed.
constexpr std::chrono::milliseconds kSettle{40};

std::string missing(const std::string& python, const std::string& reason) {
  return fmt::format(
      "--against pytorch: {} has no PyTorch ({}): install the package python3-torch, or name another "
      "interpreter by --python",
      python, reason);
}

}  // namespace

PyTorch::PyTorch(const std::string& python, const BenchSubject& subject, int threads)
    : python_(python),
      threads_(threads),
      child_({python, "-W", "ignore", "-c", kPyTorchScript, subject.shape(), std::to_string(subject.batch_size()),
              std::to_string(threads)},
             // Threads of OpenMP that look for work for long keep those of OpenBLAS from it.
             {fmt::format("OMP_NUM_THREADS={}", threads), fmt::format("OPENBLAS_NUM_THREADS={}", threads),
              "GOMP_SPINCOUNT=1000"}) {
  const std::string greeting = child_.receive("starting PyTorch").value_or("absent it ended without a word");
  const std::size_t space = greeting.find(' ');
  if (!greeting.starts_with("pytorch ")) throw Error(missing(python_, greeting.substr(space + 1)));
  version_ = greeting.substr(space + 1);
}

std::string PyTorch::ask(const std::string& line) {
  child_.send(line);
  std::optional<std::string> answer = child_.receive("PyTorch was running");
  if (!answer) throw Error(fmt::format("PyTorch: {} ended at \"{}\"", python_, line));
  return *answer;
}

void PyTorch::settle() const {
  if (threads_ > 1) std::this_thread::sleep_for(kSettle);
}

std::string PyTorch::lacks(const std::string& step) {
  return ask("lacks " + step);
}

std::vector<double> PyTorch::run(const std::string& step, Index count) {
  settle();
  std::istringstream answer(ask(fmt::format("run {} {}", step, count)));
  settle();
  std::vector<double> seconds;
  for (double value; answer >> value;) seconds.push_back(value);
  if (static_cast<Index>(seconds.size()) != count) {
    throw Error(fmt::format("PyTorch: expected the seconds of {} runs, found \"{}\"", count, answer.str()));
  }
  return seconds;
}

Index PyTorch::peak(const std::string& step) {
  const std::string answer = ask("peak " + step);
  try {
    return std::stoll(answer);
  } catch (const std::exception&) {
    throw Error(fmt::format("PyTorch: expected a number of bytes, found \"{}\"", answer));
  }
}

}  // namespace slopewise
