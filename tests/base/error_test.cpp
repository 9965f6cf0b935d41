#include "slopewise/base/error.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "slopewise/base/interrupt.hpp"

namespace slopewise {
namespace {

template <class E>
int exit_code_of(const char* message) {
  try {
    throw E(message);
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), message);
    return error.exit_code();
  }
}

TEST(Error, WrongUseExitsWithTwoAndFailedWorkWithOne) {
  EXPECT_EQ(exit_code_of<ArgumentError>("argument"), 2);
  EXPECT_EQ(exit_code_of<ShapeError>("shape"), 2);
  EXPECT_EQ(exit_code_of<FileError>("file"), 1);
  EXPECT_EQ(exit_code_of<NumericError>("number"), 1);
  EXPECT_EQ(exit_code_of<Interrupted>("interrupt"), 1);
  EXPECT_EQ(exit_code_of<Error>("any"), 1);
}

TEST(InterruptDeathTest, TheFirstSignalAsksTheSecondEnds) {
  EXPECT_FALSE(interrupted());
  EXPECT_NO_THROW(check_interrupted("testing"));
  const auto first = [] {
    install_interrupt_handler();
    std::raise(SIGINT);
    try {
      check_interrupted("testing");
    } catch (const Interrupted& error) {
      std::exit(error.what() == std::string("interrupted while testing") ? 0 : 3);
    }
    std::exit(4);
  };
  EXPECT_EXIT(first(), testing::ExitedWithCode(0), "");
  const auto second = [] {
    install_interrupt_handler();
    std::raise(SIGINT);
    std::raise(SIGINT);
  };
  EXPECT_EXIT(second(), testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace slopewise
