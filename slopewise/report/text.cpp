#include "slopewise/report/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

namespace slopewise {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";
constexpr std::string_view kEllipsis = "…";

struct Character {
  char32_t code;      // U+FFFD for an ill-formed byte
  std::size_t bytes;  // how many it takes in the text
  bool well_formed;
};

// Decodes the first character of non-empty text by table 3-7 of the Unicode standard: no overlong forms, surrogates or
// codes past U+10FFFF.
Character decode(std::string_view text) {
  constexpr Character kIllFormed{0xFFFD, 1, false};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t bytes = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (bytes == 0 || text.size() < bytes) return kIllFormed;
  char32_t code = lead & (0x7Fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kIllFormed;
    code = (code << 6) | (byte(i) & 0x3Fu);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kLeast[bytes] || surrogate || code > 0x10FFFF) return kIllFormed;
  return {code, bytes, true};
}

struct Range {
  char32_t first, last;
};

template <std::size_t N>
bool contains(const Range (&ranges)[N], char32_t code) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [code](Range range) { return range.first <= code && code <= range.last; });
}

// The blocks of combining marks, joiners and variation selectors that mathematics and European scripts use.
constexpr Range kNoColumns[] = {{0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},
                                {0x200B, 0x200F}, {0x2060, 0x2064}, {0x20D0, 0x20FF},
                                {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}};

// The blocks that Unicode's EastAsianWidth.txt calls wide or fullwidth.
constexpr Range kTwoColumns[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},  {0x3041, 0x4DBF},   {0x4E00, 0xA4CF},
                                 {0xA960, 0xA97C},   {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
                                 {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF},
                                 {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

int columns(char32_t code) {
  if (code < 0x300) return 1;
  return contains(kNoColumns, code) ? 0 : contains(kTwoColumns, code) ? 2 : 1;
}

// Bytes of the longest beginning of the text that fits in `width` columns.
std::size_t fitting_bytes(std::string_view text, int width) {
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const Character character = decode(text.substr(bytes));
    width -= columns(character.code);
    if (width < 0) break;
    bytes += character.bytes;
  }
  return bytes;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Character character = decode(text);
    const bool control = character.code < 0x20 || (character.code >= 0x7F && character.code < 0xA0);
    result += character.well_formed && !control ? text.substr(0, character.bytes) : kReplacement;
    text.remove_prefix(character.bytes);
  }
  return result;
}

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Character character = decode(text);
    width += columns(character.code);
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string truncate(std::string_view text, int width) {
  if (width <= 0) return "";
  if (fitting_bytes(text, width) == text.size()) return std::string(text);
  return std::string(text.substr(0, fitting_bytes(text, width - 1))).append(kEllipsis);
}

std::vector<std::string> wrap(std::string_view text, int width) {
  width = std::max(width, 2);  // room for the widest character
  std::vector<std::string> lines;
  do {
    std::size_t end = fitting_bytes(text, width);
    if (end < text.size()) {
      // A space just past the line is as good a place as one within it.
      const std::size_t space = text.rfind(' ', end);
      if (space != std::string_view::npos && space > 0) end = space;
    }
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(text.find_first_not_of(' ', end), text.size()));
  } while (!text.empty());
  return lines;
}

std::string sparkline(std::span<const double> values, int width) {
  constexpr std::string_view kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::size_t columns = std::min(values.size(), static_cast<std::size_t>(std::max(width, 0)));
  std::vector<double> means;
  for (std::size_t c = 0; c < columns; ++c) {
    const auto stretch =
        values.subspan(c * values.size() / columns, (c + 1) * values.size() / columns - c * values.size() / columns);
    means.push_back(std::accumulate(stretch.begin(), stretch.end(), 0.0) / static_cast<double>(stretch.size()));
  }
  double least = std::numeric_limits<double>::infinity(), greatest = -least;
  for (const double mean : means) {
    if (!std::isfinite(mean)) continue;
    least = std::min(least, mean);
    greatest = std::max(greatest, mean);
  }
  std::string line;
  for (const double mean : means) {
    const double height = greatest > least ? (mean - least) / (greatest - least) : 0;
    line += std::isfinite(mean) ? kBlocks[static_cast<std::size_t>(std::lround(7 * height))] : " ";
  }
  return line;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace slopewise
