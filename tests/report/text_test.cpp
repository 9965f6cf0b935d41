#include "slopewise/report/text.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace slopewise {
namespace {

TEST(Text, WidthCountsColumns) {
  EXPECT_EQ(display_width(""), 0);
  EXPECT_EQ(display_width("slope"), 5);
  EXPECT_EQ(display_width("‖∇‖² → σ"), 8);
  EXPECT_EQ(display_width("g\u0302"), 1);  // a combining circumflex
  EXPECT_EQ(display_width("梯度"), 4);
  EXPECT_EQ(display_width("😀"), 2);
}

TEST(Text, PrintableReplacesWhatIsIllFormed) {
  EXPECT_EQ(printable("∇L"), "∇L");
  EXPECT_EQ(printable("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(printable("\xE2\x88"), "\uFFFD\uFFFD");                      // cut within ∇
  EXPECT_EQ(printable("\x88z"), "\uFFFDz");                              // a continuation byte alone
  EXPECT_EQ(printable("\xC0\xAF"), "\uFFFD\uFFFD");                      // an overlong '/'
  EXPECT_EQ(printable("\xE0\x80\xAF"), "\uFFFD\uFFFD\uFFFD");            // overlong in three bytes
  EXPECT_EQ(printable("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // a surrogate
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // past U+10FFFF
}

TEST(Text, PrintableReplacesControls) {
  EXPECT_EQ(printable("a\nb\x1b[31mc\x7f"), "a\uFFFDb\uFFFD[31mc\uFFFD");
  EXPECT_EQ(printable("\xC2\x9Bm"), "\uFFFDm");  // U+009B also opens an escape
}

TEST(Text, TruncateKeepsCharactersWhole) {
  EXPECT_EQ(truncate("slope", 5), "slope");
  EXPECT_EQ(truncate("slopes", 5), "slop…");
  EXPECT_EQ(truncate("梯度梯度", 4), "梯…");
  EXPECT_EQ(truncate("梯度", 1), "…");
  EXPECT_EQ(truncate("g\u0302g\u0302g\u0302", 2), "g\u0302…");
  EXPECT_EQ(truncate("slope", 0), "");
  EXPECT_EQ(truncate("", 3), "");
}

TEST(Text, WrapBreaksAtSpaces) {
  const auto lines = [](auto... line) { return std::vector<std::string>{line...}; };
  EXPECT_EQ(wrap("", 10), lines(""));
  EXPECT_EQ(wrap("the mean slope", 8), lines("the mean", "slope"));
  EXPECT_EQ(wrap("the mean slope", 7), lines("the", "mean", "slope"));
  EXPECT_EQ(wrap("incompressible", 6), lines("incomp", "ressib", "le"));
  EXPECT_EQ(wrap("activities-feedback", 12), lines("activities-", "feedback"));
  EXPECT_EQ(wrap("loss,rank-one,slope", 12), lines("loss,", "rank-one,", "slope"));
  EXPECT_EQ(wrap("of well-known", 10), lines("of", "well-known"));  // a word is kept whole where a line has room for it
  EXPECT_EQ(wrap("1e-10-2", 5), lines("1e-10", "-2"));
  EXPECT_EQ(widest_piece("of activities-feedback"), 11);
  EXPECT_EQ(widest_piece(""), 0);
  EXPECT_EQ(wrap("梯度梯", 3), lines("梯", "度", "梯"));
  EXPECT_EQ(wrap("梯", 0), lines("梯"));
  EXPECT_EQ(wrap("slope     ", 6), lines("slope "));
}

TEST(Sparkline, DrawsEachValueBetweenTheLeastAndTheGreatest) {
  EXPECT_EQ(sparkline(std::vector{8.0, 4.5, 1.0}, 10), "█▅▁");
  EXPECT_EQ(sparkline(std::vector{2.0, 2.0}, 10), "▁▁");
  EXPECT_EQ(sparkline({}, 10), "");
}

TEST(Sparkline, TakesTheMeanOfAStretchWhereThereAreMoreValuesThanColumns) {
  EXPECT_EQ(sparkline(std::vector{7.0, 7.0, 3.0, 5.0, 0.0, 0.0}, 3), "█▅▁");
}

TEST(Sparkline, LeavesAGapForWhatIsNotFinite) {
  EXPECT_EQ(sparkline(std::vector{1.0, std::nan(""), 0.0}, 3), "█ ▁");
}

}  // namespace
}  // namespace slopewise
