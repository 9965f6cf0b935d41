// Another process, spoken to line by line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slopewise {

// A child process whose standard input and output are this object's; its errors go where ours go. It may use all the
// CPUs that this process was given, whichever our own threads are bound to, and its environment lacks what pins a
// library's kernels (pinning_variables in machine.hpp), unless it is given that. Ctrl-C does not reach it: it ends with
// this object, or at the end of its input.
class Child {
 public:
  // arguments[0] is looked up on the PATH; `variables` ("NAME=value") join the environment. Throws Error if it cannot
  // be started.
  Child(const std::vector<std::string>& arguments, const std::vector<std::string>& variables);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Throws Error if the child has gone.
  void send(std::string_view line);
  // The next line, without its break; none once the child has closed its output. Throws Interrupted, with `doing`, if
  // the user loses patience first.
  std::optional<std::string> receive(const char* doing);

 private:
  std::string name_;
  int process_ = -1;
  int channel_ = -1;
  std::string received_;
};

}  // namespace slopewise
