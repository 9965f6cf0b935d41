#include "slopewise/base/atomic_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class AtomicFileTest : public testing::Test {
 protected:
  AtomicFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "slopewise_test_XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~AtomicFileTest() override {
    std::filesystem::permissions(directory_, std::filesystem::perms::owner_all);
    std::filesystem::remove_all(directory_);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) found.push_back(entry.path().filename());
    return found;
  }
  static std::string content(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path directory_;
};

TEST_F(AtomicFileTest, AppearsWholeAtCommit) {
  const auto path = directory_ / "results.json";
  const std::string large(3'000'000, 'x');
  AtomicFile file(path);
  file.write("first ");
  file.write(large);
  EXPECT_FALSE(std::filesystem::exists(path));
  file.commit();
  EXPECT_EQ(content(path), "first " + large);
  EXPECT_THAT(names(), testing::ElementsAre("results.json"));
}

TEST_F(AtomicFileTest, ReplacesAnOlderFileOnlyAtCommit) {
  const auto path = directory_ / "results.json";
  std::ofstream(path) << "old";
  {
    AtomicFile file(path);
    file.write("new");
    EXPECT_EQ(content(path), "old");
  }
  EXPECT_EQ(content(path), "old");
  EXPECT_THAT(names(), testing::ElementsAre("results.json"));
  AtomicFile file(path);
  file.write("new");
  file.commit();
  EXPECT_EQ(content(path), "new");
}

TEST_F(AtomicFileTest, RenamesAWholeFile) {
  std::ofstream(directory_ / "results.json.part") << "new";
  std::ofstream(directory_ / "results.json") << "old";
  rename_durably(directory_ / "results.json.part", directory_ / "results.json");
  EXPECT_EQ(content(directory_ / "results.json"), "new");
  EXPECT_THAT(names(), testing::ElementsAre("results.json"));
  EXPECT_THAT([&] { rename_durably(directory_ / "nothing", directory_ / "results.json"); },
              ThrowsMessage<FileError>(HasSubstr("nothing: cannot open")));
  EXPECT_THAT([&] { rename_durably(directory_ / "results.json", directory_ / "nowhere" / "a"); },
              ThrowsMessage<FileError>(HasSubstr("nowhere/a: cannot write")));
}

TEST_F(AtomicFileTest, LeavesNothingWithoutCommit) {
  { AtomicFile(directory_ / "results.json").write("half"); }
  EXPECT_THAT(names(), testing::IsEmpty());
}

// What a killed process leaves: a temporary that nobody locks.
TEST_F(AtomicFileTest, RemovesTemporariesThatNobodyWrites) {
  const auto path = directory_ / "results.json";
  for (const char* name : {"results.json.slopewise-a1B2c3", "weights.slopewise-000000", "results.json.slopewise-",
                           "my.slopewise-notes", "results.json.slopewise-a1B2c3.old"})
    std::ofstream(directory_ / name) << "half";
  AtomicFile live(directory_ / "checkpoint");
  live.write("half");
  write_text(path, "whole");  // removes those of its own name
  EXPECT_THAT(names(),
              testing::AllOf(testing::SizeIs(6), testing::Not(testing::Contains("results.json.slopewise-a1B2c3"))));
  ensure_writable_directory(directory_);  // removes all
  EXPECT_THAT(names(), testing::AllOf(testing::SizeIs(5), testing::Not(testing::Contains("weights.slopewise-000000"))));
  live.commit();
  EXPECT_EQ(content(directory_ / "checkpoint"), "half");
  EXPECT_THAT(names(), testing::UnorderedElementsAre("results.json", "checkpoint", "results.json.slopewise-",
                                                     "my.slopewise-notes", "results.json.slopewise-a1B2c3.old"));
}

// Processes that write one file at once, each removing leftovers, take none of what another still writes.
TEST_F(AtomicFileTest, WritersAtOnceLeaveEachOtherAlone) {
  const auto path = directory_ / "results.json";
  std::vector<pid_t> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.push_back(::fork());
    if (writers.back() != 0) continue;
    try {
      for (int i = 0; i < 100; ++i) write_text(path, std::string(1000, static_cast<char>('a' + writer)));
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  for (const pid_t writer : writers) {
    int status = -1;
    ::waitpid(writer, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(content(path).size(), 1000);
  EXPECT_THAT(names(), testing::ElementsAre("results.json"));
}

TEST_F(AtomicFileTest, NamesThePathAndTheReasonWhenItCannotBeMade) {
  const auto missing = directory_ / "missing" / "results.json";
  EXPECT_THAT([&] { AtomicFile file(missing); },
              ThrowsMessage<FileError>(AllOf(HasSubstr(missing.string()), HasSubstr("No such file or directory"))));
  std::ofstream(directory_ / "file") << "";
  const auto below_a_file = directory_ / "file" / "results.json";
  EXPECT_THAT([&] { AtomicFile file(below_a_file); },
              ThrowsMessage<FileError>(AllOf(HasSubstr(below_a_file.string()), HasSubstr("Not a directory"))));
}

TEST_F(AtomicFileTest, ACommitThatFailsKeepsWhatWasThere) {
  std::filesystem::create_directories(directory_ / "taken" / "inner");
  AtomicFile file(directory_ / "taken");
  file.write("x");
  EXPECT_THAT([&] { file.commit(); }, ThrowsMessage<FileError>(HasSubstr("cannot write")));
  EXPECT_TRUE(std::filesystem::is_directory(directory_ / "taken" / "inner"));
  EXPECT_THAT(names(), testing::ElementsAre("taken"));
}

// A file-size limit stands in for a full disk: write(2) first writes short, then fails.
TEST_F(AtomicFileTest, AFullDiskThrowsAndLeavesNothing) {
  const auto path = directory_ / "checkpoint";
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::string message;
  try {
    AtomicFile file(path);
    file.write(std::string((1 << 20) + 1, 'x'));
  } catch (const FileError& error) {
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, AllOf(HasSubstr(path.string()), HasSubstr("cannot write"), HasSubstr("File too large")));
  EXPECT_THAT(names(), testing::IsEmpty());
}

TEST_F(AtomicFileTest, EnsureWritableDirectoryMakesParentsAndLeavesNothing) {
  const auto deep = directory_ / "a" / "b";
  ensure_writable_directory(deep);
  ensure_writable_directory(deep);
  EXPECT_TRUE(std::filesystem::is_directory(deep));
  EXPECT_TRUE(std::filesystem::is_empty(deep));
}

TEST_F(AtomicFileTest, EnsureWritableDirectoryRefusesAFile) {
  std::ofstream(directory_ / "file") << "";
  EXPECT_THROW(ensure_writable_directory(directory_ / "file"), FileError);
  EXPECT_THROW(ensure_writable_directory(directory_ / "file" / "below"), FileError);
}

TEST_F(AtomicFileTest, EnsureWritableDirectoryRefusesAReadOnlyOne) {
  if (::geteuid() == 0) GTEST_SKIP() << "the superuser may write anywhere";
  std::filesystem::permissions(directory_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  EXPECT_THAT([&] { ensure_writable_directory(directory_); }, ThrowsMessage<FileError>(HasSubstr("Permission denied")));
}

}  // namespace
}  // namespace slopewise
