// Tables: rows of numbers, one column of which is learned, and images as rows of pixels.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "slopewise/base/error.hpp"
#include "slopewise/base/lower_case.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/data/csv_table.hpp"
#include "slopewise/data/formats.hpp"

namespace slopewise::detail {
namespace {

constexpr std::int64_t kLeastSide = 8;  // of rows that are taken for square images without a word
constexpr std::size_t kFewLabels = 20, kOften = 5;

// The column of this name, exactly or else but for case, or of this number from 1.
std::size_t named_column(const CsvTable& table, const std::string& label) {
  const auto exact = std::ranges::find(table.header, label);
  if (exact != table.header.end()) return static_cast<std::size_t>(exact - table.header.begin());
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < table.header.size(); ++i) {
    if (lower_case(table.header[i]) == lower_case(label)) found.push_back(i);
  }
  if (found.size() == 1) return found.front();
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
  if (found.empty() && error == std::errc() && end == label.data() + label.size() && number > table.before &&
      number <= table.before + table.columns)
    return number - table.before - 1;
  throw ArgumentError(fmt::format("--label: expected a column of {}{} or a number from {} to {}, found {}{}",
                                  table.where, table.header.empty() ? ", which has no header," : "", table.before + 1,
                                  table.before + table.columns, label, suggestion(label, table.header)));
}

// Whether a column's whole numbers from 0 on look like classes: few that come often, and no gaps worth mention.
bool looks_like_label(const CsvTable& table, std::size_t column) {
  if (table.fractions.contains(column)) return false;
  std::set<double> distinct;
  for (std::size_t row = 0; row < table.rows; ++row) {
    const double number = table.numbers[row * table.columns + column];
    if (number < 0 || number != std::trunc(number)) return false;
    distinct.insert(number);
  }
  if (table.rows == 1) return *distinct.begin() <= kFewLabels;
  const bool often = distinct.size() <= kFewLabels || distinct.size() * kOften <= table.rows;
  return distinct.size() > 1 && often &&
         *distinct.rbegin() <= std::max<double>(kFewLabels, 2.0 * static_cast<double>(distinct.size()));
}

// The side of a square of so many pixels, or 0.
Index side_of(std::size_t pixels) {
  const auto side = std::llround(std::sqrt(static_cast<double>(pixels)));
  return static_cast<std::size_t>(side) * static_cast<std::size_t>(side) == pixels ? side : 0;
}

// Whether all columns but the first are the pixels of a square image, as in MNIST's CSV files.
bool ends_in_image(const CsvTable& table) {
  if (!table.words.empty() || side_of(table.columns - 1) < kLeastSide) return false;
  for (std::size_t i = 0; i < table.numbers.size(); ++i) {
    const double number = table.numbers[i];
    if (i % table.columns > 0 && (number < 0 || number > 255 || number != std::trunc(number))) return false;
  }
  return true;
}

// What pandas calls a column without a name.
bool is_unnamed(const std::string& name) {
  return name.empty() || name.starts_with("Unnamed: 0");
}

// Whether the first column numbers the rows, as pandas' to_csv and R's write.csv have it: it has no name, and distinct
// whole numbers.
bool begins_with_index(const CsvTable& table) {
  if (table.words.contains(0) || table.fractions.contains(0)) return false;
  std::set<double> distinct;
  for (std::size_t row = 0; row < table.rows; ++row) {
    const double number = table.numbers[row * table.columns];
    if (number < 0 || number != std::trunc(number) || !distinct.insert(number).second) return false;
  }
  return true;
}

// The column to learn. Throws ArgumentError where nothing settles which it is.
std::size_t label_column(const CsvTable& table, const std::string& label) {
  if (!label.empty()) return named_column(table, label);
  const auto ask = [&](const std::string& found) {
    return ArgumentError(fmt::format("{}: {}: say --label COLUMN, its {}number from 1", table.where, found,
                                     table.header.empty() ? "" : "name or its "));
  };
  if (!table.header.empty()) {
    for (const char* usual : {"label", "class", "target", "y"}) {
      std::vector<std::size_t> found;
      for (std::size_t i = 0; i < table.header.size(); ++i) {
        if (lower_case(table.header[i]) == usual) found.push_back(i);
      }
      if (found.size() > 1)
        throw FileError(fmt::format("{}: two columns are called {}, expected one", table.where, usual));
      if (found.size() == 1) return found.front();
    }
    if (table.words.size() == 1) return table.words.begin()->first;
    const std::span names = std::span(table.header).first(std::min<std::size_t>(table.header.size(), 12));
    throw ask(fmt::format("no column is called label, class, target or y; there are {:?}{}", fmt::join(names, ", "),
                          names.size() < table.header.size() ? ", …" : ""));
  }
  if (table.words.size() == 1) return table.words.begin()->first;
  if (table.columns == 1) return 0;
  const bool first = looks_like_label(table, 0), last = looks_like_label(table, table.columns - 1);
  if (first && !last && ends_in_image(table)) return 0;
  throw ask(
      fmt::format("without a header the first column is the label only where it looks like one before the pixels of a "
                  "square image; "
                  "here {}",
                  first && last ? "the first and the last look like one"
                  : first       ? "the first does, before other numbers"
                  : last        ? "the last does"
                                : "neither the first nor the last does"));
}

// The column that leaves those the network reads, where the names tell.
std::optional<std::size_t> column_beside(const CsvTable& table, const LoadOptions& options) {
  if (!options.like || options.like->column_names.size() + 1 != table.header.size()) return std::nullopt;
  const std::vector<std::string>& read = options.like->column_names;
  const auto differs = std::ranges::mismatch(read, table.header);
  const auto place = static_cast<std::size_t>(differs.in1 - read.begin());
  if (!std::ranges::equal(std::span(read).subspan(place), std::span(table.header).subspan(place + 1)))
    return std::nullopt;
  return place;
}

// The inputs of a table whose label is gone: images where they look like it.
void set_inputs(RawSet& set, Numbers numbers, Index columns, const LoadOptions& options) {
  numbers.narrow();
  const Index side = side_of(static_cast<std::size_t>(columns));
  const bool square = side > 0;
  const bool asked = options.layout && *options.layout != Layout::kTable;
  const bool like_image = options.like && options.like->image_shape.rank() == 3;
  if (asked && !square) {
    throw FileError(
        fmt::format("{}: {} columns beside the label, expected the pixels of a square image of one channel, as 784 are "
                    "of 28×28; other shapes need .npy or .npz",
                    set.where, columns));
  }
  const bool evident = square && side >= kLeastSide && numbers.are_bytes() && !options.layout && !options.like;
  set.shape = square && (asked || evident || like_image) ? Shape{side, side} : Shape{columns};
  if (set.shape.rank() == 2) set.column_names.clear();
  set.inputs = numbers.are_bytes() ? Rows(numbers.take_bytes(), columns) : Rows(numbers.take_wide(), columns);
}

// What one file of a set settles for the next.
struct CsvColumns {
  std::optional<std::size_t> label;    // among those beside the index
  std::optional<std::size_t> indices;  // how many unnamed columns, the first ones, number the rows
};

// Takes out indices of the rows, which are no example's, several where a table was written again and again; what the
// network reads, or --label names, is none. Throws ArgumentError for another column without a name.
void drop_indices(CsvTable& table, const LoadOptions& options, CsvColumns& columns) {
  if (table.header.empty()) return;
  const auto is_read = [&](const std::string& name) {
    return options.like && !options.like->column_names.empty() && options.like->column_names.front() == name;
  };
  const auto is_asked = [&](const std::string& name) {
    return options.label == std::to_string(table.before + 1) ||
           (!name.empty() && lower_case(options.label) == lower_case(name));
  };
  const std::optional<std::size_t> before = columns.indices;
  for (std::size_t dropped = 0; table.columns > 1 && dropped != before; ++dropped) {
    const std::string name = table.header.front();
    if (!before && (!is_unnamed(name) || is_read(name) || is_asked(name))) break;
    if (!before && !begins_with_index(table)) {
      throw ArgumentError(fmt::format(
          "{}: column {} has no name, and is no index of the rows, distinct whole numbers: give it a name, or write "
          "the table without it, as pandas' to_csv(path, index=False)",
          table.where, table.before + 1));
    }
    table.drop_first();
  }
  columns.indices = table.before;
}

RawSet load_set(const std::filesystem::path& path, const LoadOptions& options, CsvColumns& settled) {
  CsvTable table = read_csv(path, options.label, options.unpack);
  RawSet set{.where = table.where};
  if (table.rows == 0) throw FileError(fmt::format("{}: expected records of examples, found none", table.where));
  drop_indices(table, options, settled);
  std::optional<std::size_t>& label = settled.label;
  // Without labels there are just the columns that the network reads.
  const Index wanted = options.like ? options.like->image_shape.size() : 0;
  const bool labelled = options.labels_needed || static_cast<Index>(table.columns) != wanted;
  if (labelled && !label && options.label.empty()) label = column_beside(table, options);
  if (labelled && !label) label = label_column(table, options.label);
  for (const auto& [column, words] : table.words) {
    if (labelled && column == *label) continue;
    throw FileError(fmt::format("{}: {} holds words, as {:?}, expected numbers in all columns but the label's{}",
                                table.where, table.column_name(column), words.names.front().substr(0, 40),
                                labelled ? fmt::format(", {}", table.column_name(*label)) : ""));
  }
  auto columns = static_cast<Index>(table.columns);
  if (labelled) {
    if (*label >= table.columns || columns < 2) {
      throw FileError(
          fmt::format("{}: {} columns beside the label, expected at least 1", table.where, table.columns - 1));
    }
    set.targets = RawTargets{.where = fmt::format("{}: {}", table.where, table.column_name(*label)),
                             .numbers = table.numbers.take_column(table.columns, *label),
                             .floating = table.fractions.contains(*label)};
    if (const auto words = table.words.find(*label); words != table.words.end())
      set.targets->names = words->second.names;
    if (!table.header.empty()) table.header.erase(table.header.begin() + static_cast<std::ptrdiff_t>(*label));
    --columns;
  }
  set.column_names = table.header;
  set_inputs(set, std::move(table.numbers), columns, options);
  return set;
}

void note_index(const CsvColumns& settled, RawSplit& split) {
  for (std::size_t column = 1; column <= settled.indices.value_or(0); ++column)
    split.left_out.push_back(fmt::format("the index in column {}", column));
}

const std::vector<std::string>& spellings(bool test) {
  static const std::vector<std::string> train_names{"train.csv", "train.csv.gz", "train.tsv", "train.tsv.gz"};
  static const std::vector<std::string> test_names = [] {
    std::vector<std::string> names;  // the test set is the first of these that is there
    for (const char* set : {"test", "val", "valid", "validation"}) {
      for (const char* extension : {".csv", ".csv.gz", ".tsv", ".tsv.gz"})
        names.push_back(std::string(set) + extension);
    }
    return names;
  }();
  return test ? test_names : train_names;
}

RawSplit load_splits(const std::filesystem::path& directory, const LoadOptions& options) {
  const auto train = find_file(directory, "training examples", spellings(false));
  const auto test = find_file(directory, "test examples", spellings(true));
  CsvColumns settled;
  RawSplit split{.train = load_set(train, options, settled), .format = "CSV"};
  split.test = load_set(test, options, settled);
  note_index(settled, split);
  for (const std::string& name : spellings(true)) {
    std::error_code ignored;
    if (directory / name != test && std::filesystem::exists(directory / name, ignored)) split.left_out.push_back(name);
  }
  // The training set decides whether rows are images.
  if (split.test->shape.size() == split.train.shape.size()) split.test->shape = split.train.shape;
  if (split.train.column_names.empty()) split.test->column_names.clear();
  return split;
}

}  // namespace

DirectoryFormat csv_format() {
  DirectoryFormat format{"CSV", "train.csv, test.csv", spellings(false), load_splits};
  format.files.insert(format.files.end(), spellings(true).begin(), spellings(true).end());
  return format;
}

RawSplit load_csv(const std::filesystem::path& path, const LoadOptions& options) {
  CsvColumns settled;
  RawSplit split{.train = load_set(path, options, settled), .format = "CSV"};
  note_index(settled, split);
  return split;
}

}  // namespace slopewise::detail
