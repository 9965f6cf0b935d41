// Numbers as people read them, with a minus sign "−" (U+2212) as in text. web/prepare.js writes the same on charts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slopewise {

// The sign of negative numbers.
inline constexpr std::string_view kMinus = "−";

// Four significant digits, without trailing zeros: "0.5", "0.01235", "12346" (an integer part is never cut), "1.86 M",
// "2.5 G", "3 T"; below 1e-4 and from 1e15 on "1.235e−7". "nan", "inf" and "−inf" for what is not finite.
std::string format_number(double x);

// "1 step", "0 steps", "1.86 M steps": that number of things called by a noun whose plural ends in s.
std::string format_count(double count, std::string_view noun);

// "[0.9876, 1.013]": with the digits it takes to show the width of a narrow interval, "[0.123412, 0.123455]".
std::string format_interval(double low, double high);

// A number, "2 to 4", "above 1" or "below 1": the range between two numbers, which may be equal or infinite.
std::string format_range(double low, double high);

// "512 B", "1.5 KiB", "79 MiB": four significant digits, powers of 1024.
std::string format_bytes(std::int64_t bytes);

// "0.51 ns", "12.3 µs", "4.56 ms", "1.23 s", "2 min 3 s", "1 h 2 min", "3 d 4 h": three significant digits or the two
// leading units. "nan", "inf" and "−inf" for what is not finite.
std::string format_seconds(double seconds);

}  // namespace slopewise
