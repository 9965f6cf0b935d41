#include "slopewise/base/interrupt.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt_scope.hpp"

namespace slopewise {
namespace {

volatile std::sig_atomic_t stop_signal = 0;
volatile std::sig_atomic_t unread = 0;

void request_stop(int signal) {
  stop_signal = signal;
}

void note_unread(int) {
  unread = 1;
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = request_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second signal takes its default action
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
  action.sa_flags = 0;  // more may be written before the end, and each time it comes again
  action.sa_handler = note_unread;
  sigaction(SIGPIPE, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);
}

InterruptScope::InterruptScope() : before_{} {
  struct sigaction action = {};
  action.sa_handler = request_stop;
  if (sigaction(SIGINT, nullptr, &before_) == 0 && before_.sa_handler != SIG_IGN) sigaction(SIGINT, &action, nullptr);
}

InterruptScope::~InterruptScope() {
  if (before_.sa_handler != SIG_IGN) sigaction(SIGINT, &before_, nullptr);
  stop_signal = 0;
}

bool interrupted() {
  return stop_signal != 0;
}

int interrupting_signal() {
  return stop_signal;
}

bool pipe_broken() {
  return unread != 0;
}

void check_interrupted(const char* doing) {
  if (interrupted()) throw Interrupted(fmt::format("interrupted while {}", doing));
}

}  // namespace slopewise
