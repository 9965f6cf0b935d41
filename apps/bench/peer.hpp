// A program that is compared with: a process of its own that is told, line by line, what to run.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "apps/bench/child.hpp"
#include "slopewise/base/shape.hpp"

namespace slopewise {

// What a peer's process does with memory that it frees. Kept for the next run, it need not be asked of the system
// again, which takes longer than a convolution on some machines: so where time is measured. Given back at once, what
// loading a model left cannot hide what a run needs: so where memory is.
enum class FreedMemory { kKept, kGivenBack };

class Peer {
 public:
  // `name` is the peer's as people write it; its process greets with the same in lower case, without spaces, and its
  // version, or with "absent" and a reason, for which `missing` makes the words of the Error that is thrown. Idle for
  // `settling`, its threads sleep.
  Peer(std::string name, const std::vector<std::string>& arguments, const std::vector<std::string>& variables,
       FreedMemory freed, int threads, std::chrono::milliseconds settling,
       const std::function<std::string(const std::string& reason)>& missing);

  const std::string& version() const { return version_; }
  // The answer to a line. Throws Error if the process has ended.
  std::string ask(const std::string& line);
  // A visit of the step (measure.hpp). While it lasts this process waits, its threads asleep.
  std::vector<double> run(const std::string& step, Index count);
  // Bytes at the step's peak beyond parameters and batch; asked of a process that has run nothing else.
  Index peak(const std::string& step);

 private:
  void sleep(std::chrono::milliseconds time) const;

  std::string name_;
  std::string program_;
  int threads_;
  std::chrono::milliseconds settling_;
  Child child_;
  std::string version_;
};

}  // namespace slopewise
