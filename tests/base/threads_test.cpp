#include "slopewise/base/threads.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

// Every test runs with one thread and with more than this machine may have.
class Threads : public testing::TestWithParam<int> {
 protected:
  Threads() { set_thread_count(GetParam()); }
  ~Threads() override { set_thread_count(before_); }

 private:
  const int before_ = thread_count();
};

INSTANTIATE_TEST_SUITE_P(, Threads, testing::Values(1, 2, 5), testing::PrintToStringParamName());

TEST_P(Threads, CountIsWhatWasSet) {
  EXPECT_EQ(thread_count(), GetParam());
}

TEST_P(Threads, CountMustBePositive) {
  EXPECT_THAT([] { set_thread_count(0); }, testing::ThrowsMessage<ArgumentError>(testing::HasSubstr("found 0")));
  EXPECT_EQ(thread_count(), GetParam());
}

TEST_P(Threads, EachIndexRunsOnce) {
  for (const std::int64_t count : {0, 1, 2, 3, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
    parallel_for(count, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
    for (const auto& times : runs) EXPECT_EQ(times, 1);
  }
}

// As with OMP_THREAD_LIMIT or OMP_DYNAMIC.
TEST_P(Threads, EachIndexRunsOnceByFewerThreadsThanAskedFor) {
  const int levels = omp_get_max_active_levels();
  omp_set_max_active_levels(0);  // a team has one thread
  for (const LoopSchedule schedule : {LoopSchedule::kDynamic, LoopSchedule::kStatic}) {
    std::vector<std::atomic<int>> runs(100);
    parallel_for(
        100, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; }, schedule);
    for (const auto& times : runs) EXPECT_EQ(times, 1);
  }
  omp_set_max_active_levels(levels);
}

TEST_P(Threads, IndexIsBelowTheCountAndOwnedByOneThread) {
  EXPECT_EQ(thread_index(), 0);
  std::vector<std::atomic<bool>> busy(static_cast<std::size_t>(GetParam()));
  std::atomic<bool> shared{false};
  parallel_for(200, [&](std::int64_t) {
    auto& mine = busy.at(static_cast<std::size_t>(thread_index()));
    if (mine.exchange(true)) shared = true;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    mine = false;
  });
  EXPECT_FALSE(shared);
}

// The inner loop has one thread, whose index is 0; the outer index is back after it, however it ends.
TEST_P(Threads, NestedLoopsRunOnTheCallingThread) {
  std::atomic<int> runs{0};
  parallel_for(20, [&](std::int64_t) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // leaves pieces for the other threads
    const auto outer = std::this_thread::get_id();
    const int outer_index = thread_index();
    const auto inner = [&](std::int64_t i) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      EXPECT_EQ(thread_index(), 0);
      ++runs;
      if (i == 49) throw NumericError("last");
    };
    parallel_for(49, inner);
    EXPECT_EQ(thread_index(), outer_index);
    EXPECT_THROW(parallel_for(50, inner), NumericError);
    EXPECT_EQ(thread_index(), outer_index);
  });
  EXPECT_EQ(runs, 20 * 99);
  EXPECT_EQ(thread_index(), 0);
}

TEST_P(Threads, AnExceptionReachesTheCallerAfterAllStopped) {
  std::atomic<int> inside{0};
  const auto loop = [&] {
    parallel_for(1000, [&](std::int64_t i) {
      ++inside;
      std::this_thread::sleep_for(std::chrono::microseconds(10));
      --inside;
      if (i == 17) throw std::out_of_range("index 17");
    });
  };
  EXPECT_THAT(loop, testing::ThrowsMessage<std::out_of_range>("index 17"));
  EXPECT_EQ(inside, 0);
}

TEST_P(Threads, OfManyExceptionsOneArrivesAndTheNextLoopRuns) {
  EXPECT_THROW(parallel_for(100, [](std::int64_t) { throw NumericError("NaN"); }), NumericError);
  std::atomic<int> runs{0};
  parallel_for(100, [&](std::int64_t) { ++runs; });
  EXPECT_EQ(runs, 100);
}

TEST(ThreadScope, GivesTheNumberBack) {
  const int before = thread_count();
  {
    const ThreadScope scope(before + 3);
    EXPECT_EQ(thread_count(), before + 3);
  }
  EXPECT_EQ(thread_count(), before);
}

TEST(PerThread, EachThreadKeepsItsOwn) {
  const ThreadScope scope(3);
  struct Owner {
    std::thread::id maker = std::this_thread::get_id();
  };
  PerThread<Owner> owners;
  std::atomic<int> strangers{0};
  parallel_for(300, [&](std::int64_t) { strangers += owners.own().maker != std::this_thread::get_id(); });
  EXPECT_EQ(strangers.load(), 0);
  EXPECT_EQ(&owners.own(), &owners.own());
}

}  // namespace
}  // namespace slopewise
