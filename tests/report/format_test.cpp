#include "slopewise/report/format.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace slopewise {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(FormatNumber, FourSignificantDigits) {
  EXPECT_EQ(format_number(0), "0");
  EXPECT_EQ(format_number(-0.0), "0");
  EXPECT_EQ(format_number(0.5), "0.5");
  EXPECT_EQ(format_number(-1), "−1");
  EXPECT_EQ(format_number(0.0123456), "0.01235");
  EXPECT_EQ(format_number(3.14159265), "3.142");
  EXPECT_EQ(format_number(0.0001), "0.0001");
  EXPECT_EQ(format_number(9.99999e-5), "0.0001");
  EXPECT_EQ(format_number(1.23456e-7), "1.235e−7");
}

TEST(FormatCount, HasThePluralOfAllButOne) {
  EXPECT_EQ(format_count(0, "step"), "0 steps");
  EXPECT_EQ(format_count(1, "step"), "1 step");
  EXPECT_EQ(format_count(2.5, "step"), "2.5 steps");
  EXPECT_EQ(format_count(1.86e6, "step"), "1.86 M steps");
}

TEST(FormatNumber, NeverCutsAnIntegerPart) {
  EXPECT_EQ(format_number(999.96), "1000");
  EXPECT_EQ(format_number(9999.6), "10000");
  EXPECT_EQ(format_number(12345.6), "12346");
  EXPECT_EQ(format_number(-99999.7), "−100000");
  EXPECT_EQ(format_number(999999), "999999");
}

TEST(FormatNumber, PrefixesFromAMillion) {
  EXPECT_EQ(format_number(999999.6), "1 M");
  EXPECT_EQ(format_number(1.86e6), "1.86 M");
  EXPECT_EQ(format_number(-1863690), "−1.864 M");
  EXPECT_EQ(format_number(999.96e6), "1 G");
  EXPECT_EQ(format_number(2.5e9), "2.5 G");
  EXPECT_EQ(format_number(3e12), "3 T");
  EXPECT_EQ(format_number(1e15), "1e15");
}

TEST(FormatNumber, NamesWhatIsNotFinite) {
  EXPECT_EQ(format_number(kNan), "nan");
  EXPECT_EQ(format_number(kInfinity), "inf");
  EXPECT_EQ(format_number(-kInfinity), "−inf");
}

TEST(FormatInterval, ShowsTheWidth) {
  EXPECT_EQ(format_interval(0.98764, 1.0131), "[0.9876, 1.013]");
  EXPECT_EQ(format_interval(0.123412, 0.123455), "[0.123412, 0.123455]");
  EXPECT_EQ(format_interval(1000000.0, 1000012.0), "[1 M, 1.000012 M]");
  EXPECT_EQ(format_interval(2, 2), "[2, 2]");
  EXPECT_EQ(format_interval(-1, 0), "[−1, 0]");
  EXPECT_EQ(format_interval(-kInfinity, 3), "[−inf, 3]");
  EXPECT_EQ(format_interval(kNan, 3), "[nan, 3]");
}

TEST(FormatRange, NamesItsEnds) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  EXPECT_EQ(format_range(2, 4), "2 to 4");
  EXPECT_EQ(format_range(0.98765, 0.98765), "0.9877");
  EXPECT_EQ(format_range(1, kInfinite), "above 1");
  EXPECT_EQ(format_range(-kInfinite, 1), "below 1");
  EXPECT_EQ(format_range(std::numeric_limits<double>::quiet_NaN(), 1), "nan");
}

TEST(FormatBytes, PowersOf1024) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(79 << 20), "79 MiB");
  EXPECT_EQ(format_bytes((1 << 20) - 1), "1 MiB");
  EXPECT_EQ(format_bytes(-2048), "−2 KiB");
  EXPECT_EQ(format_bytes(-5), "−5 B");
  EXPECT_EQ(format_bytes(std::numeric_limits<std::int64_t>::max()), "8 EiB");
  EXPECT_EQ(format_bytes(std::numeric_limits<std::int64_t>::min()), "−8 EiB");
}

TEST(FormatSeconds, FromNanosecondsToDays) {
  EXPECT_EQ(format_seconds(0), "0 s");
  EXPECT_EQ(format_seconds(0.51e-9), "0.51 ns");
  EXPECT_EQ(format_seconds(12.34e-6), "12.3 µs");
  EXPECT_EQ(format_seconds(4.5678e-3), "4.57 ms");
  EXPECT_EQ(format_seconds(0.9996), "1 s");
  EXPECT_EQ(format_seconds(1.234), "1.23 s");
  EXPECT_EQ(format_seconds(59.94), "59.9 s");
  EXPECT_EQ(format_seconds(59.96), "1 min");
  EXPECT_EQ(format_seconds(119.6), "2 min");
  EXPECT_EQ(format_seconds(123), "2 min 3 s");
  EXPECT_EQ(format_seconds(3599.6), "1 h");
  EXPECT_EQ(format_seconds(3720), "1 h 2 min");
  EXPECT_EQ(format_seconds(24 * 3600 - 1), "1 d");
  EXPECT_EQ(format_seconds(76 * 3600), "3 d 4 h");
  EXPECT_EQ(format_seconds(-1.5), "−1.5 s");
  EXPECT_EQ(format_seconds(kInfinity), "inf");
  EXPECT_EQ(format_seconds(kNan), "nan");
}

}  // namespace
}  // namespace slopewise
