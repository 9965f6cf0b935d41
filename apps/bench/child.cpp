#include "apps/bench/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "apps/bench/machine.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"

namespace slopewise {
namespace {

constexpr int kPatience = 100;  // milliseconds between two looks at whether the user has interrupted

[[noreturn]] void fail(std::string_view what, std::string_view name, int error) {
  throw Error(fmt::format("{} {}: {}", what, name, std::generic_category().message(error)));
}

std::string variable_name(std::string_view entry) {
  return std::string(entry.substr(0, entry.find('=')));
}

// Our environment but for what pins kernels, and with `variables`.
std::vector<std::string> child_environment(const std::vector<std::string>& variables) {
  std::vector<std::string> left_out = pinning_variables();
  for (const std::string& variable : variables) left_out.push_back(variable_name(variable));
  std::vector<std::string> result = variables;
  for (char** entry = environ; *entry; ++entry) {
    if (std::find(left_out.begin(), left_out.end(), variable_name(*entry)) == left_out.end()) result.push_back(*entry);
  }
  return result;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& string : strings) result.push_back(const_cast<char*>(string.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace

Child::Child(const std::vector<std::string>& arguments, const std::vector<std::string>& variables)
    : name_(arguments.at(0)) {
  // All that takes memory is done before the fork.
  const std::vector<std::string> environment = child_environment(variables);
  const std::vector<char*> argument_pointers = pointers(arguments);
  const std::vector<char*> environment_pointers = pointers(environment);
  const cpu_set_t cpus = usable_cpus();
  int ends[2], failure[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("cannot start", name_, errno);
  if (pipe2(failure, O_CLOEXEC) != 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    fail("cannot start", name_, error);
  }
  process_ = fork();
  if (process_ == 0) {
    setpgid(0, 0);
    sched_setaffinity(0, sizeof cpus, &cpus);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Where standard input or output was closed, the socket may be in its place: dup2 would then leave it to be closed.
    const int end = fcntl(ends[1], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (end >= 0 && dup2(end, STDIN_FILENO) >= 0 && dup2(end, STDOUT_FILENO) >= 0) {
      execvpe(argument_pointers[0], argument_pointers.data(), environment_pointers.data());
    }
    const int error = errno;
    [[maybe_unused]] const ssize_t written = write(failure[1], &error, sizeof error);
    _exit(127);
  }
  int error = process_ < 0 ? errno : 0;
  close(ends[1]);
  close(failure[1]);
  channel_ = ends[0];
  // Closed by a successful exec.
  if (error == 0) {
    while (read(failure[0], &error, sizeof error) < 0 && errno == EINTR) {
    }
  }
  close(failure[0]);
  if (error == 0) return;
  close(channel_);
  if (process_ > 0) waitpid(process_, nullptr, 0);
  fail("cannot start", name_, error);
}

Child::~Child() {
  close(channel_);
  kill(process_, SIGKILL);
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Child::send(std::string_view line) {
  std::string text = fmt::format("{}\n", line);
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t sent = ::send(channel_, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) fail("cannot speak to", name_, errno);
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::optional<std::string> Child::receive(const char* doing) {
  while (true) {
    const std::size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    check_interrupted(doing);
    pollfd waited{.fd = channel_, .events = POLLIN, .revents = 0};
    if (poll(&waited, 1, kPatience) <= 0) continue;
    char bytes[4096];
    const ssize_t count = recv(channel_, bytes, sizeof bytes, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    received_.append(bytes, static_cast<std::size_t>(count));
  }
}

}  // namespace slopewise
