#include "slopewise/base/directory_lock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class DirectoryLockTest : public testing::Test {
 protected:
  DirectoryLockTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "slopewise_test_XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~DirectoryLockTest() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_;
};

TEST_F(DirectoryLockTest, OneHoldsADirectoryAndTheNextIsToldWho) {
  std::optional<DirectoryLock> lock(directory_);
  EXPECT_THAT([&] { DirectoryLock second(directory_); },
              ThrowsMessage<Error>(AllOf(HasSubstr(directory_.string()), HasSubstr(std::to_string(::getpid())))));
  lock.reset();
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
  DirectoryLock third(directory_);
}

TEST_F(DirectoryLockTest, AKilledProcessHoldsNothing) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    DirectoryLock lock(directory_);
    [[maybe_unused]] const ssize_t written = ::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_THAT([&] { DirectoryLock second(directory_); }, ThrowsMessage<Error>(HasSubstr(std::to_string(child))));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(std::filesystem::is_empty(directory_));
  { DirectoryLock second(directory_); }
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
  ::close(ready[0]);
  ::close(ready[1]);
}

// A lock file that says nothing, or anything, is no more than one that nobody has locked.
TEST_F(DirectoryLockTest, WhatTheFileSaysIsNotBelieved) {
  std::ofstream(directory_ / ".slopewise.lock") << "not a number\n";
  DirectoryLock lock(directory_);
  std::ofstream(directory_ / ".slopewise.lock", std::ios::trunc) << "";
  EXPECT_THAT([&] { DirectoryLock second(directory_); },
              ThrowsMessage<Error>(HasSubstr("another run is writing there")));
}

TEST_F(DirectoryLockTest, ADirectoryThatIsNotThereIsNamed) {
  EXPECT_THAT([&] { DirectoryLock lock(directory_ / "none"); }, ThrowsMessage<FileError>(HasSubstr("none: cannot")));
}

}  // namespace
}  // namespace slopewise
