#include "slopewise/report/terminal.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "tests/report/descriptors.hpp"

namespace slopewise {
namespace {

TEST(Terminal, APipeIsNone) {
  Pipe pipe;
  EXPECT_FALSE(is_terminal(pipe.writing()));
  EXPECT_FALSE(wants_colour(pipe.writing()));
  EXPECT_FALSE(is_terminal(-1));
}

TEST(Terminal, WidthIsWhatTheTerminalReportsElseColumnsElse80) {
  EXPECT_EQ(terminal_width(PseudoTerminal(100).writing()), 100);
  EXPECT_EQ(terminal_width(PseudoTerminal(3).writing()), 20);
  Pipe pipe;
  ::setenv("COLUMNS", "60", 1);
  EXPECT_EQ(terminal_width(pipe.writing()), 60);
  EXPECT_EQ(terminal_width(PseudoTerminal(0).writing()), 60);
  ::setenv("COLUMNS", "wide", 1);
  EXPECT_EQ(terminal_width(pipe.writing()), 80);
  ::unsetenv("COLUMNS");
  EXPECT_EQ(terminal_width(pipe.writing()), 80);
}

TEST(Terminal, ColourObeysTheEnvironment) {
  PseudoTerminal terminal(80);
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "xterm", 1);
  EXPECT_TRUE(is_terminal(terminal.writing()));
  EXPECT_TRUE(wants_colour(terminal.writing()));
  ::setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(wants_colour(terminal.writing()));
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(wants_colour(terminal.writing()));
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(wants_colour(terminal.writing()));
}

TEST(Terminal, TheUsersWordOnColourComesFirst) {
  PseudoTerminal terminal(80);
  Pipe pipe;
  ::setenv("TERM", "xterm", 1);
  ::setenv("NO_COLOR", "1", 1);
  set_colour(ColourMode::kAlways);
  EXPECT_TRUE(wants_colour(pipe.writing()));
  EXPECT_TRUE(wants_colour(terminal.writing()));
  ::unsetenv("NO_COLOR");
  set_colour(ColourMode::kNever);
  EXPECT_FALSE(wants_colour(terminal.writing()));
  set_colour(ColourMode::kAuto);
  EXPECT_TRUE(wants_colour(terminal.writing()));
}

}  // namespace
}  // namespace slopewise
