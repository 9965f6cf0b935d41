#include "slopewise/base/interrupt.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>

#include "slopewise/base/interrupt_scope.hpp"

namespace slopewise {
namespace {

// The exit code of a process of its own that does this.
int exit_code_of(const std::function<int()>& act) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(act());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Interrupt, EverySignalThatAsksToEndIsNoticed) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EQ(exit_code_of([&] {
                install_interrupt_handler();
                if (interrupted() || interrupting_signal() != 0) return 1;
                ::raise(signal);
                return interrupted() ? interrupting_signal() : 2;
              }),
              signal);
  }
}

TEST(Interrupt, TheSecondOfASignalEndsTheProcess) {
  EXPECT_EQ(exit_code_of([] {
              install_interrupt_handler();
              ::raise(SIGTERM);
              ::raise(SIGTERM);
              return 0;
            }),
            128 + SIGTERM);
}

TEST(Interrupt, AWriteThatNobodyReadsStopsNothing) {
  EXPECT_EQ(exit_code_of([] {
              install_interrupt_handler();
              int ends[2] = {};
              if (pipe_broken() || ::pipe(ends) != 0) return 1;
              ::close(ends[0]);
              for (int time = 0; time < 2; ++time) {
                if (::write(ends[1], "x", 1) != -1 || errno != EPIPE) return 2;
              }
              return pipe_broken() && !interrupted() && interrupting_signal() == 0 ? 0 : 3;
            }),
            0);
}

// As nohup and a shell's background jobs ask for.
TEST(Interrupt, AnIgnoredSignalStaysIgnored) {
  for (const int signal : {SIGINT, SIGHUP}) {
    EXPECT_EQ(exit_code_of([&] {
                std::signal(signal, SIG_IGN);
                install_interrupt_handler();
                ::raise(signal);
                return interrupted() ? 1 : 0;
              }),
              0);
  }
}

TEST(Interrupt, AScopeLeavesTheSignalToWhoHadIt) {
  EXPECT_EQ(exit_code_of([] {
              static volatile std::sig_atomic_t theirs = 0;
              std::signal(SIGINT, [](int) { theirs = theirs + 1; });
              for (int time = 0; time < 2; ++time) {
                const InterruptScope scope;
                if (interrupted()) return 1;
                ::raise(SIGINT);
                ::raise(SIGINT);
                if (!interrupted() || theirs != 0) return 2;
              }
              if (interrupted()) return 3;
              ::raise(SIGINT);
              if (theirs != 1) return 4;
              std::signal(SIGINT, SIG_IGN);
              const InterruptScope scope;
              ::raise(SIGINT);
              return interrupted() ? 5 : 0;
            }),
            0);
}

TEST(Interrupt, AFileThatGrowsTooLargeIsAnErrorOfTheWrite) {
  EXPECT_EQ(exit_code_of([] {
              install_interrupt_handler();
              const rlimit limit = {.rlim_cur = 10, .rlim_max = 10};
              char name[] = "/tmp/slopewise_test_XXXXXX";
              const int file = ::mkstemp(name);
              ::unlink(name);
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0 || ::write(file, "0123456789", 10) != 10) return 1;
              return ::write(file, "x", 1) == -1 && errno == EFBIG ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace slopewise
