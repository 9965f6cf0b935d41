#include "slopewise/report/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace slopewise {
namespace {

// A positive number with `digits` significant digits, and no fewer than its integer part takes below a million.
std::string magnitude_with_digits(double x, int digits) {
  if (x < 1e-4 || x >= 1e15) {
    // "1.235e-07" as "1.235e−7", "1e+15" as "1e15".
    const std::string text = fmt::format("{:.{}g}", x, digits);
    const std::size_t e = text.find('e');
    if (e == std::string::npos) return text;
    return fmt::format("{}e{}{}", text.substr(0, e), text[e + 1] == '-' ? kMinus : "", std::stoi(text.substr(e + 2)));
  }
  // The first limit is where rounding to `digits` would need an exponent, the second where "1 M" begins.
  if (x < std::pow(10, digits) - 0.5 && x < 999999.5) return fmt::format("{:.{}g}", x, digits);
  if (x < 999999.5) return fmt::format("{:.0f}", x);
  constexpr std::array<char, 3> kPrefixes{'M', 'G', 'T'};
  double scaled = x / 1e6;
  std::size_t prefix = 0;
  // What would round up to 1000 belongs to the next prefix.
  const double limit = 1000 - 0.5 * std::pow(10, 3 - digits);
  while (scaled >= limit && prefix + 1 < kPrefixes.size()) {
    scaled /= 1000;
    ++prefix;
  }
  return fmt::format("{:.{}g} {}", scaled, digits, kPrefixes[prefix]);
}

std::string with_digits(double x, int digits) {
  if (x == 0) return "0";  // -0 too
  if (std::isnan(x)) return "nan";
  return fmt::format("{}{}", x < 0 ? kMinus : "", std::isinf(x) ? "inf" : magnitude_with_digits(std::abs(x), digits));
}

constexpr int kDigits = 4;

}  // namespace

std::string format_number(double x) {
  return with_digits(x, kDigits);
}

std::string format_count(double count, std::string_view noun) {
  return fmt::format("{} {}{}", format_number(count), noun, count == 1 ? "" : "s");
}

std::string format_interval(double low, double high) {
  int digits = kDigits;
  const double magnitude = std::max(std::abs(low), std::abs(high));
  const double width = high - low;
  if (std::isfinite(magnitude) && width > 0) {
    // Two digits of the width; 17 tell any two doubles apart.
    digits = std::clamp(static_cast<int>(std::ceil(std::log10(magnitude / width))) + 2, kDigits, 17);
  }
  return fmt::format("[{}, {}]", with_digits(low, digits), with_digits(high, digits));
}

std::string format_range(double low, double high) {
  if (!(low < high)) return format_number(low);
  if (std::isinf(high)) return "above " + format_number(low);
  if (std::isinf(low)) return "below " + format_number(high);
  return fmt::format("{} to {}", format_number(low), format_number(high));
}

std::string format_bytes(std::int64_t bytes) {
  // As a double: the least integer has no negative.
  const double magnitude = std::abs(static_cast<double>(bytes));
  const std::string_view sign = bytes < 0 ? kMinus : "";
  if (magnitude < 1024) return fmt::format("{}{} B", sign, magnitude);
  constexpr std::array<const char*, 6> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double scaled = magnitude / 1024;
  std::size_t unit = 0;
  while (scaled >= 1023.5 && unit + 1 < kUnits.size()) {
    scaled /= 1024;
    ++unit;
  }
  return fmt::format("{}{:.4g} {}", sign, scaled, kUnits[unit]);
}

std::string format_seconds(double seconds) {
  if (seconds == 0) return "0 s";
  if (std::isnan(seconds)) return "nan";
  if (seconds < 0) return fmt::format("{}{}", kMinus, format_seconds(-seconds));
  if (std::isinf(seconds)) return "inf";
  // Each limit is where rounding would reach the next unit.
  if (seconds < 999.5e-9) return fmt::format("{:.3g} ns", seconds * 1e9);
  if (seconds < 999.5e-6) return fmt::format("{:.3g} µs", seconds * 1e6);
  if (seconds < 999.5e-3) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 59.95) return fmt::format("{:.3g} s", seconds);
  const auto two_units = [](double small_units, int ratio, const char* large, const char* small) {
    const double total = std::round(small_units);
    const double count = std::floor(total / ratio);
    const double rest = total - count * ratio;
    return rest == 0 ? fmt::format("{:.0f} {}", count, large)
                     : fmt::format("{:.0f} {} {:.0f} {}", count, large, rest, small);
  };
  if (seconds < 3599.5) return two_units(seconds, 60, "min", "s");
  if (seconds < 24 * 3600 - 30) return two_units(seconds / 60, 60, "h", "min");
  return two_units(seconds / 3600, 24, "d", "h");
}

}  // namespace slopewise
