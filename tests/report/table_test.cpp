#include "slopewise/report/table.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "slopewise/base/error.hpp"
#include "slopewise/report/text.hpp"

namespace slopewise {
namespace {

TEST(Table, AlignsNumbersRightAndTextLeft) {
  Table table({"law", "variance", "time"});
  table.add_row({"gaussian", "12.5", "2 min 3 s"});
  table.add_row({"σ, 梯度", "-", ""});
  table.add_row({"rank-one", "1.86 M", "0.5 s"});
  EXPECT_EQ(table.to_string(),
            "law       variance       time\n"
            "────────  ────────  ─────────\n"
            "gaussian      12.5  2 min 3 s\n"
            "σ, 梯度          -\n"
            "rank-one    1.86 M      0.5 s\n");
}

TEST(Table, WordsThatBeginLikeNumbersAreText) {
  Table table({"a value", "b value"});
  table.add_row({"info", "nan"});
  table.add_row({"1", "−1e−3"});
  EXPECT_EQ(table.to_string(),
            "a value  b value\n"
            "───────  ───────\n"
            "info         nan\n"
            "1          −1e−3\n");
}

TEST(Table, WrapsTheWidestColumns) {
  Table table({"claim", "verdict"});
  table.add_row({"the mean slope is zero", "confirmed"});
  EXPECT_EQ(table.to_string(22),
            "claim        verdict\n"
            "───────────  ─────────\n"
            "the mean     confirmed\n"
            "slope is\n"
            "zero\n");
}

TEST(Table, CutsNoWordWhereItHasRoomForAll) {
  Table table({"row", "test error", "note"});
  table.add_row({"backprop-checkpointed", "2.55 ± 0.11 %", "memory of two layers"});
  table.add_row({"activities-feedback", "2.61 ± 0.10 %", ""});
  EXPECT_EQ(table.to_string(36),
            "row           test error  note\n"
            "────────────  ──────────  ──────────\n"
            "backprop-     2.55 ±      memory of\n"
            "checkpointed  0.11 %      two layers\n"
            "activities-   2.61 ±\n"
            "feedback      0.10 %\n");
}

TEST(Table, FitsAnyWidthDownToEightColumnsEach) {
  Table table({"claim", "what was found, with its interval"});
  table.add_row({"unbiasedness of the estimator", "incompressible‖∇‖‖∇‖‖∇‖梯度梯度梯度"});
  for (int width = 18; width < 90; ++width) {
    std::istringstream lines(table.to_string(width));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(display_width(line), width) << line;
      EXPECT_EQ(line, printable(line));
    }
  }
}

TEST(Table, BrokenTextTakesOneLine) {
  Table table({"file"});
  table.add_row({"a\nb\xFF"});
  EXPECT_EQ(table.to_string(), "file\n────\na\uFFFDb\uFFFD\n");
}

TEST(Table, ColoursWholeLines) {
  Table table({"claim"});
  table.add_row({"holds"}, Ink::kGood);
  table.add_row({"fails"}, Ink::kBad);
  table.add_row({"plain"});
  EXPECT_EQ(table.to_string(0, true),
            "\x1b[1mclaim\x1b[0m\n"
            "\x1b[2m─────\x1b[0m\n"
            "\x1b[32mholds\x1b[0m\n"
            "\x1b[31mfails\x1b[0m\n"
            "plain\n");
}

TEST(Table, RefusesARowOfAnotherLength) {
  Table table({"a", "b"});
  EXPECT_THROW(table.add_row({"1", "2", "3"}), ArgumentError);
  EXPECT_EQ(table.to_string(), "a  b\n─  ─\n");
}

}  // namespace
}  // namespace slopewise
