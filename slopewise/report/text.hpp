// UTF-8 text in columns of a terminal.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slopewise {

// The text with every ill-formed byte and control character (line breaks and escapes too) as U+FFFD, so that it takes
// one line and display_width columns wherever it is printed.
std::string printable(std::string_view text);

// Columns that printable text takes: none for a combining mark, two for East Asian wide characters and emoji, else one.
int display_width(std::string_view text);

// The text if it fits in `width` columns, else its longest beginning that does with an ellipsis. Characters stay whole,
// together with their combining marks.
std::string truncate(std::string_view text, int width);

// The text in lines of at most `width` columns (at least 2), broken at spaces where possible, else after a comma or,
// failing that, a hyphen within a word, else between characters. Never empty: no text gives one empty line.
std::vector<std::string> wrap(std::string_view text, int width);
// Columns of the widest piece that wrap() does not break where there is room: a word, or a part of one up to its comma
// or hyphen.
int widest_piece(std::string_view text);

// A field of a CSV, quoted where it must be (RFC 4180).
std::string csv_field(const std::string& text);

// The values as blocks of eight heights between the least and the greatest, "▇▅▃▂▁": one column each or, of more than
// `width` values, one for each of `width` equal stretches, at its mean. What is not finite leaves a gap.
std::string sparkline(std::span<const double> values, int width);

}  // namespace slopewise
