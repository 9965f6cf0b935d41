#include "slopewise/base/interrupt.hpp"

#include <fmt/format.h>

#include <csignal>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

void request_stop(int) {
  stop_requested = 1;
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = request_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second signal takes its default action
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() {
  return stop_requested != 0;
}

void check_interrupted(const char* doing) {
  if (interrupted()) throw Interrupted(fmt::format("interrupted while {}", doing));
}

}  // namespace slopewise
