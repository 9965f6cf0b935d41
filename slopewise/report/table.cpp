#include "slopewise/report/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <string_view>

#include "slopewise/base/error.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/text.hpp"

namespace slopewise {
namespace {

constexpr int kGap = 2;        // columns between two columns
constexpr int kNarrowest = 8;  // no column is wrapped below this
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kReset = "\x1b[0m";

std::string_view escape(Ink ink) {
  switch (ink) {
    case Ink::kPlain:
      return "";
    case Ink::kGood:
      return "\x1b[32m";
    case Ink::kBad:
      return "\x1b[31m";
    case Ink::kFaint:
      return "\x1b[2m";
  }
  return "";
}

// A number, alone or with a short unit: "−1.5e−3", "nan", "98 %", "2.46×", "1.86 M", "2 min 3 s".
bool is_number(std::string_view cell) {
  if (cell.starts_with('+')) cell.remove_prefix(1);
  if (cell.starts_with(kMinus)) cell.remove_prefix(kMinus.size());
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error == std::errc::invalid_argument) return false;
  std::string_view rest = cell.substr(static_cast<std::size_t>(end - cell.data()));
  if (rest.starts_with("e−")) rest.remove_prefix(std::min(rest.find(' '), rest.size()));  // its exponent
  const int unit = display_width(rest);
  return std::isfinite(value) ? unit <= 8 : unit == 0;  // "info" starts with "inf"
}

std::vector<std::string> made_printable(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = printable(cell);
  return cells;
}

}  // namespace

Table::Table(std::vector<std::string> header) : header_(made_printable(std::move(header))) {}

void Table::add_row(std::vector<std::string> cells, Ink ink) {
  if (cells.size() != header_.size()) {
    throw ArgumentError(fmt::format("Table::add_row: expected {} cells, found {}", header_.size(), cells.size()));
  }
  rows_.push_back({made_printable(std::move(cells)), ink});
}

bool Table::is_numeric(std::size_t column) const {
  bool any = false;
  for (const Row& row : rows_) {
    const std::string& cell = row.cells[column];
    if (cell.empty() || cell == "-" || cell == "–") continue;
    if (!is_number(cell)) return false;
    any = true;
  }
  return any;
}

std::vector<int> Table::column_widths(int width) const {
  std::vector<int> widths(header_.size()), least(header_.size());
  for (std::size_t column = 0; column < widths.size(); ++column) {
    const auto fit = [&](const std::string& cell) {
      widths[column] = std::max(widths[column], display_width(cell));
      least[column] = std::max({least[column], widest_piece(cell), kNarrowest});
    };
    fit(header_[column]);
    for (const Row& row : rows_) fit(row.cells[column]);
  }
  if (width <= 0 || widths.empty()) return widths;
  int excess = std::accumulate(widths.begin(), widths.end(), kGap * static_cast<int>(widths.size() - 1)) - width;
  // The widest first; words are cut apart only where there is no room for them whole.
  for (const std::vector<int>& to : {least, std::vector<int>(widths.size(), kNarrowest)}) {
    for (; excess > 0; --excess) {
      std::size_t widest = widths.size();
      for (std::size_t column = 0; column < widths.size(); ++column) {
        if (widths[column] > to[column] && (widest == widths.size() || widths[column] > widths[widest]))
          widest = column;
      }
      if (widest == widths.size()) break;
      --widths[widest];
    }
  }
  return widths;
}

std::string Table::to_string(int width, bool colour) const {
  const std::vector<int> widths = column_widths(width);
  std::vector<bool> right(widths.size());
  for (std::size_t column = 0; column < widths.size(); ++column) right[column] = is_numeric(column);

  std::string result;
  const auto add_line = [&](const std::vector<std::string_view>& cells, std::string_view ink) {
    std::string line;
    std::string gap;  // written only ahead of text, so no line ends in spaces
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const std::string padding(static_cast<std::size_t>(widths[column] - display_width(cells[column])), ' ');
      if (right[column]) gap += padding;
      if (!cells[column].empty()) {
        line += gap;
        line += cells[column];
        gap.clear();
      }
      if (!right[column]) gap += padding;
      gap.append(kGap, ' ');
    }
    result += colour && !ink.empty() ? fmt::format("{}{}{}\n", ink, line, kReset) : line + "\n";
  };
  const auto add_cells = [&](const std::vector<std::string>& cells, std::string_view ink) {
    std::vector<std::vector<std::string>> wrapped;
    std::size_t height = 1;
    for (std::size_t column = 0; column < cells.size(); ++column) {
      wrapped.push_back(wrap(cells[column], widths[column]));
      height = std::max(height, wrapped.back().size());
    }
    for (std::size_t i = 0; i < height; ++i) {
      std::vector<std::string_view> line;
      for (const auto& lines : wrapped) line.push_back(i < lines.size() ? std::string_view(lines[i]) : "");
      add_line(line, ink);
    }
  };

  add_cells(header_, kBold);
  std::vector<std::string> rule;
  for (const int columns : widths) {
    rule.emplace_back();
    for (int i = 0; i < columns; ++i) rule.back() += "─";
  }
  add_line({rule.begin(), rule.end()}, escape(Ink::kFaint));
  for (const Row& row : rows_) add_cells(row.cells, escape(row.ink));
  return result;
}

}  // namespace slopewise
