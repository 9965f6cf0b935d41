#include "slopewise/report/text.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cmath>
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

// The first character of non-empty text.
Character decode(std::string_view text) {
  utf8proc_int32_t code = 0;
  const utf8proc_ssize_t bytes =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), std::ssize(text), &code);
  if (bytes < 1) return {0xFFFD, 1, false};
  return {static_cast<char32_t>(code), static_cast<std::size_t>(bytes), true};
}

// None for what combines, two for East Asian wide characters and emoji.
int columns(char32_t code) {
  return utf8proc_charwidth(static_cast<utf8proc_int32_t>(code));
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

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Whether a hyphen between two letters is at this place.
bool parts_a_word(std::string_view text, std::size_t at) {
  return text[at] == '-' && at > 0 && at + 1 < text.size() && is_letter(text[at - 1]) && is_letter(text[at + 1]);
}

// Whether a comma without a space after it is at this place.
bool parts_a_list(std::string_view text, std::size_t at) {
  return text[at] == ',' && at + 1 < text.size() && text[at + 1] != ' ';
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
      const auto past = [&](bool (*parts)(std::string_view, std::size_t)) {
        std::size_t at = end;
        while (at > 0 && !parts(text, at - 1)) --at;
        return at;
      };
      if (space != std::string_view::npos && space > 0) {
        end = space;
      } else if (const std::size_t comma = past(parts_a_list); comma > 0) {
        end = comma;
      } else if (const std::size_t hyphen = past(parts_a_word); hyphen > 0) {
        end = hyphen;
      }
    }
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(text.find_first_not_of(' ', end), text.size()));
  } while (!text.empty());
  return lines;
}

int widest_piece(std::string_view text) {
  int widest = 0;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != ' ' && !parts_a_word(text, i) && !parts_a_list(text, i)) continue;
    const std::size_t end = i < text.size() && text[i] != ' ' ? i + 1 : i;
    widest = std::max(widest, display_width(text.substr(from, end - from)));
    from = i + 1;
  }
  return widest;
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
    line += std::isfinite(mean) ? kBlocks[std::lround(7 * height)] : " ";
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
