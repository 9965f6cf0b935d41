#include "slopewise/report/progress.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

#include "slopewise/report/text.hpp"
#include "tests/report/descriptors.hpp"

namespace slopewise {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

ProgressState training() {
  return {.task = "train", .unit = "steps", .note = "epoch 4", .total = 1000, .done = 350, .seconds = 70};
}

TEST(ProgressState, TerminalLine) {
  EXPECT_EQ(training().terminal_line(80),
            "train [========>               ]  35 %  5 steps/s  2 min 10 s left  epoch 4");
}

TEST(ProgressState, TerminalLineFitsAnyWidth) {
  ProgressState state = training();
  state.note = "梯度 ‖∇‖² \xFF\n";
  for (int width = 1; width < 120; ++width) {
    const std::string line = state.terminal_line(width);
    EXPECT_LE(display_width(line), width) << line;
    EXPECT_EQ(line, printable(line));
  }
}

TEST(ProgressState, PlainLine) {
  EXPECT_EQ(training().plain_line(), "train: 35 %, 5 steps/s, 2 min 10 s left (epoch 4)");
}

TEST(ProgressState, LastLine) {
  EXPECT_EQ(training().last_line(true), "train: done in 1 min 10 s");
  EXPECT_EQ(training().last_line(false), "train: stopped at 35 % after 1 min 10 s");
}

TEST(ProgressState, TotalZeroIsUnknown) {
  ProgressState state = training();
  state.total = 0;
  EXPECT_EQ(state.terminal_line(80), "train  1 min 10 s  5 steps/s  epoch 4");
  EXPECT_EQ(state.plain_line(), "train: 1 min 10 s, 5 steps/s (epoch 4)");
  EXPECT_EQ(state.last_line(false), "train: stopped after 1 min 10 s");
}

TEST(ProgressState, NothingDoneYet) {
  EXPECT_EQ((ProgressState{.task = "study", .total = 3}.plain_line()), "study: 0 %");
  EXPECT_EQ((ProgressState{.task = "study"}.plain_line()), "study: 0 s");
}

TEST(ProgressState, MoreThanAllDoneIsAll) {
  ProgressState state{.task = "study", .total = 1, .done = 1.5, .seconds = 3};
  EXPECT_EQ(state.plain_line(), "study: 100 %, 0 s left");
  state.done = 0.999;
  EXPECT_EQ(state.plain_line(), "study: 99 %, 1 s left");
  state.done = 0;
  for (int i = 0; i < 10; ++i) state.done += 0.1;  // 0.9999999999999999
  EXPECT_EQ(state.plain_line(), "study: 100 %, 1 s left");
}

TEST(ProgressState, NanIsNothingDone) {
  ProgressState state{.task = "study", .total = 1, .done = std::numeric_limits<double>::quiet_NaN(), .seconds = 3};
  EXPECT_EQ(state.plain_line(), "study: 0 %");
  EXPECT_EQ(state.terminal_line(30), "study [>                ]  0 %");
  state.total = state.done;
  EXPECT_EQ(state.plain_line(), "study: 3 s");
}

TEST(Progress, PipedWritesWholeLines) {
  Pipe pipe;
  {
    Progress progress("train", 4,
                      {.descriptor = pipe.writing(), .delay = milliseconds(0), .plain_interval = milliseconds(10)});
    EXPECT_EQ(pipe.read_until("\n").find('\r'), std::string::npos);
    progress.advance();
    progress.note("epoch 1");
    pipe.read_until("train: 25 %, 1 s left (epoch 1)\n");
    progress.advance(3);
  }
  const std::string rest = pipe.read_rest();
  EXPECT_NE(rest.find("train: done in "), std::string::npos) << rest;
  EXPECT_TRUE(rest.ends_with("s\n")) << rest;
}

TEST(Progress, TerminalRedrawsOneLineAndRestsBelowIt) {
  PseudoTerminal terminal(40);
  Progress progress("train", 4,
                    {.descriptor = terminal.writing(), .delay = milliseconds(0), .redraw = milliseconds(50)});
  // The first drawing does not go up; the terminal turns \n into \r\n.
  EXPECT_TRUE(terminal.read_until("\n").starts_with("\rtrain ["));
  terminal.read_until("%\x1b[K\r\n\x1b[A\rtrain [");
}

TEST(Progress, WhatIsSaidStaysAboveTheLineThatIsRedrawn) {
  PseudoTerminal terminal(40);
  Progress progress("train", 4,
                    {.descriptor = terminal.writing(), .delay = milliseconds(0), .redraw = milliseconds(20)});
  terminal.read_until("%\x1b[K\r\n");
  progress.say("a word");
  // Over the line of progress, which is then drawn below without going up, and from then on gone over again.
  const std::string after = terminal.read_until("a word\x1b[K\r\n\rtrain [");
  EXPECT_NE(after.find("\x1b[A\ra word"), std::string::npos) << after;
  terminal.read_until("%\x1b[K\r\n\x1b[A\rtrain [");
}

TEST(Progress, WhatIsSaidOfATaskThatEndsAtOnceIsAllThereIs) {
  Pipe pipe;
  { Progress("train", 4, {.descriptor = pipe.writing()}).say("a word"); }
  EXPECT_EQ(pipe.read_rest(), "a word\n");
  Pipe silent;
  { Progress("train", 4, {.quiet = true, .descriptor = silent.writing()}).say("a word"); }
  EXPECT_EQ(silent.read_rest(), "");
}

TEST(Progress, SaysWhereItWasStopped) {
  Pipe pipe;
  {
    Progress progress("study", 4,
                      {.descriptor = pipe.writing(), .delay = milliseconds(0), .plain_interval = milliseconds(10)});
    pipe.read_until("\n");
    progress.advance();
    progress.stop();
  }
  const std::string rest = pipe.read_rest();
  EXPECT_NE(rest.find("study: stopped at 25 % after "), std::string::npos) << rest;
}

TEST(Progress, ThreadsAddUp) {
  Pipe pipe;
  {
    Progress progress("study", 8000,
                      {.descriptor = pipe.writing(), .delay = milliseconds(0), .plain_interval = milliseconds(10)});
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&progress] {
        for (int j = 0; j < 1000; ++j) progress.advance();
      });
    }
    for (std::thread& thread : threads) thread.join();
    pipe.read_until("study: 50 %");
  }
}

TEST(Progress, SaysHowFarItCameWhenAnExceptionUnwinds) {
  Pipe pipe;
  try {
    Progress progress("train", 4, {.descriptor = pipe.writing(), .delay = milliseconds(0), .plain_interval = hours(1)});
    progress.advance();
    pipe.read_until("\n");
    throw std::runtime_error("stop");
  } catch (const std::runtime_error&) {
  }
  EXPECT_TRUE(pipe.read_rest().starts_with("train: stopped at 25 % after "));
}

TEST(Progress, SaysNothingOfShortTasksOrWhenQuiet) {
  Pipe pipe;
  { Progress("short", 1, {.descriptor = pipe.writing(), .delay = hours(1)}).advance(); }
  {
    Progress quiet("quiet", 1, {.quiet = true, .descriptor = pipe.writing(), .delay = milliseconds(0)});
    quiet.advance();
    std::this_thread::sleep_for(milliseconds(50));  // long enough for a report that must not come
  }
  EXPECT_EQ(pipe.read_rest(), "");
}

}  // namespace
}  // namespace slopewise
