// Tables of text for a terminal.
#pragma once

#include <string>
#include <vector>

namespace slopewise {

// The colour of a row, where colours are on.
enum class Ink { kPlain, kGood, kBad, kFaint };

// Rows under a header, in columns as wide as they need. A column of numbers (with or without a short unit:
// "12.5 %", "1.86 M") is set to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header);

  // Throws ArgumentError unless there is one cell for each column. Cells are made printable (text.hpp).
  void add_row(std::vector<std::string> cells, Ink ink = Ink::kPlain);

  // The table, every line ended by a line break. Where it is wider than `width` columns, its widest columns are
  // wrapped, down to 8 columns each; 0 is any width. Colours are ANSI escapes.
  std::string to_string(int width = 0, bool colour = false) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    Ink ink;
  };
  std::vector<int> column_widths(int width) const;
  bool is_numeric(std::size_t column) const;

  std::vector<std::string> header_;
  std::vector<Row> rows_;
};

}  // namespace slopewise
