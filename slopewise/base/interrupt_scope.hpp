// Ctrl-C for a library user whose process goes on after the work, as Python's does.
#pragma once

#include <csignal>

namespace slopewise {

// While this lives, Ctrl-C (SIGINT) asks the work to stop at the next safe point (interrupted()), as often as it comes;
// then the signal is again whose it was, and nobody has asked. One that is ignored stays so. One at a time.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  struct sigaction before_;
};

}  // namespace slopewise
