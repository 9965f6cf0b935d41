#include "slopewise/report/progress.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <exception>
#include <system_error>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/terminal.hpp"
#include "slopewise/report/text.hpp"

namespace slopewise {
namespace {

constexpr int kWidestBar = 24;
constexpr int kNarrowestBar = 8;

// The share of the work done, in [0, 1].
double share(const ProgressState& state) {
  return state.done > 0 ? std::min(1.0, state.done / state.total) : 0.0;
}

// Rounded down, so that 100 % means all of it; the small surplus forgives a sum of fractions its rounding.
std::string percent(const ProgressState& state) {
  return fmt::format("{:.0f} %", std::floor(100 * share(state) + 1e-6));
}

// What is known, in order of telling.
std::vector<std::string> facts(const ProgressState& state) {
  std::vector<std::string> result;
  const bool total_known = state.total > 0;
  result.push_back(total_known ? percent(state) : format_seconds(std::floor(state.seconds)));
  if (!state.unit.empty() && state.done > 0 && state.seconds > 0) {
    result.push_back(fmt::format("{} {}/s", format_number(state.done / state.seconds), state.unit));
  }
  if (total_known && state.done > 0) {
    const double left = state.seconds * (1 - share(state)) / share(state);
    result.push_back(format_seconds(std::ceil(left)) + " left");
  }
  return result;
}

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;  // progress that nobody can read is no reason to end the work
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string ProgressState::terminal_line(int width) const {
  std::string tail;
  for (const std::string& fact : facts(*this)) tail += "  " + fact;
  std::string line = printable(task);
  const int room = width - display_width(line) - display_width(tail);
  if (total > 0 && room >= kNarrowestBar + 3) {
    const int bar = std::min(room - 3, kWidestBar);
    const auto filled = static_cast<std::size_t>(bar * share(*this));
    std::string drawn(filled, '=');
    if (filled < static_cast<std::size_t>(bar)) drawn += '>';
    line += fmt::format(" [{:<{}}]", drawn, bar);
  }
  line += tail;
  if (!note.empty()) line += "  " + printable(note);
  return truncate(line, width);
}

std::string ProgressState::plain_line() const {
  std::string line = fmt::format("{}: {}", printable(task), fmt::join(facts(*this), ", "));
  return note.empty() ? line : fmt::format("{} ({})", line, printable(note));
}

std::string ProgressState::last_line(bool finished) const {
  const std::string time = format_seconds(seconds);
  if (finished) return fmt::format("{}: done in {}", printable(task), time);
  const std::string where = total > 0 ? " at " + percent(*this) : "";
  return fmt::format("{}: stopped{} after {}", printable(task), where, time);
}

Progress::Progress(std::string task, double total, ProgressStyle style)
    : state_{.task = std::move(task), .unit = style.unit, .total = total},
      style_(std::move(style)),
      terminal_(is_terminal(style_.descriptor)),
      exceptions_(std::uncaught_exceptions()),
      start_(std::chrono::steady_clock::now()) {
  if (style_.quiet) return;
  // Signals are for the working threads: the watcher is started with all of them blocked.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    watcher_ = std::thread([this] { watch(); });
  } catch (const std::system_error& error) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(fmt::format("cannot start a thread that shows progress: {}", error.code().message()));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Progress::~Progress() {
  if (!watcher_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  ended_.notify_one();
  watcher_.join();
  if (told_) tell(now().last_line(!stopped_ && std::uncaught_exceptions() <= exceptions_));
}

void Progress::advance(double units) {
  const std::lock_guard lock(mutex_);
  state_.done += units;
}

void Progress::note(std::string what) {
  const std::lock_guard lock(mutex_);
  state_.note = std::move(what);
}

void Progress::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

ProgressState Progress::now() const {
  ProgressState state = state_;
  state.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return state;
}

void Progress::say(const std::string& line) {
  if (!style_.quiet) tell(line, true);
}

void Progress::tell(const std::string& line, bool stays) {
  const std::lock_guard lock(writing_);
  // On a terminal: up to the line of last time, over it, and down again.
  write_all(style_.descriptor, terminal_ ? fmt::format("{}\r{}\x1b[K\n", above_ ? "\x1b[A" : "", line) : line + "\n");
  above_ = !stays;
  told_ = told_ || !stays;
}

void Progress::watch() {
  std::unique_lock lock(mutex_);
  std::chrono::milliseconds pause = style_.delay;
  while (!ended_.wait_for(lock, pause, [this] { return stop_; })) {
    const ProgressState state = now();
    lock.unlock();  // a slow terminal does not hold up the work
    tell(terminal_ ? state.terminal_line(terminal_width(style_.descriptor) - 1) : state.plain_line());
    lock.lock();
    pause = terminal_ ? style_.redraw : style_.plain_interval;
  }
}

}  // namespace slopewise
