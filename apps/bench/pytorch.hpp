// PyTorch, in a process of its own, on the same shapes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/bench/child.hpp"
#include "apps/bench/measure.hpp"
#include "apps/bench/subject.hpp"

namespace slopewise {

class PyTorch {
 public:
  // Runs `python`. Throws Error, naming the package, where it has no PyTorch.
  PyTorch(const std::string& python, const BenchSubject& subject, int threads);

  const std::string& version() const { return version_; }
  // Why this PyTorch cannot take a step ("sgd", "forward"; behind either, ":channels_last"); empty where it can.
  std::string lacks(const std::string& step);
  // A visit of the step (measure.hpp). While it lasts this process waits, its threads asleep.
  std::vector<double> run(const std::string& step, Index count);
  // Bytes at the step's peak beyond parameters and batch; asked of a process that has run nothing else.
  Index peak(const std::string& step);

 private:
  std::string ask(const std::string& line);
  void settle() const;

  std::string python_;
  int threads_;
  Child child_;
  std::string version_;
};

}  // namespace slopewise
