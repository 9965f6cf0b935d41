#include "apps/bench/peer.hpp"

#include <fmt/format.h>

#include <cctype>
#include <chrono>
#include <sstream>
#include <thread>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

// Our own idle threads look for more work for some milliseconds before they sleep, those of OpenMP 300,000 times, those
// of OpenBLAS for 2²⁶ cycles: 8 and 26 ms at 2.6 GHz. Only then may the other process be timed.
constexpr std::chrono::milliseconds kOwnSettling{40};

// "onnxruntime" of "ONNX Runtime".
std::string greeting_word(const std::string& name) {
  std::string word;
  for (const char letter : name) {
    if (letter != ' ') word.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(letter))));
  }
  return word;
}

// Variables that the process begins with, those of glibc's malloc among them.
std::vector<std::string> with_allocator(std::vector<std::string> variables, FreedMemory freed) {
  switch (freed) {
    case FreedMemory::kKept:
      variables.insert(variables.end(), {"MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=1000000000000"});
      break;
    case FreedMemory::kGivenBack:
      variables.insert(variables.end(), {"MALLOC_MMAP_THRESHOLD_=65536", "MALLOC_TRIM_THRESHOLD_=65536"});
      break;
  }
  return variables;
}

}  // namespace

Peer::Peer(std::string name, const std::vector<std::string>& arguments, const std::vector<std::string>& variables,
           FreedMemory freed, int threads, std::chrono::milliseconds settling,
           const std::function<std::string(const std::string& reason)>& missing)
    : name_(std::move(name)),
      program_(arguments.at(0)),
      threads_(threads),
      settling_(settling),
      child_(arguments, with_allocator(variables, freed)) {
  const std::string greeting = child_.receive(("starting " + name_).c_str()).value_or("absent it ended without a word");
  const std::size_t space = greeting.find(' ');
  if (greeting.substr(0, space) != greeting_word(name_)) throw Error(missing(greeting.substr(space + 1)));
  version_ = greeting.substr(space + 1);
}

std::string Peer::ask(const std::string& line) {
  child_.send(line);
  std::optional<std::string> answer = child_.receive((name_ + " was running").c_str());
  if (!answer) throw Error(fmt::format("{}: {} ended at \"{}\"", name_, program_, line));
  return *answer;
}

void Peer::sleep(std::chrono::milliseconds time) const {
  if (threads_ > 1) std::this_thread::sleep_for(time);
}

std::vector<double> Peer::run(const std::string& step, Index count) {
  sleep(kOwnSettling);
  std::istringstream answer(ask(fmt::format("run {} {}", step, count)));
  sleep(settling_);
  std::vector<double> seconds;
  for (double value; answer >> value;) seconds.push_back(value);
  if (static_cast<Index>(seconds.size()) != count) {
    throw Error(fmt::format("{}: expected the seconds of {} runs, found \"{}\"", name_, count, answer.str()));
  }
  return seconds;
}

Index Peer::peak(const std::string& step) {
  const std::string answer = ask("peak " + step);
  try {
    return std::stoll(answer);
  } catch (const std::exception&) {
    throw Error(fmt::format("{}: expected a number of bytes, found \"{}\"", name_, answer));
  }
}

}  // namespace slopewise
