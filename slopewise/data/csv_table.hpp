// A table of numbers and words from a file of separated fields. libcsv does the quoting (RFC 4180).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "slopewise/data/byte_reader.hpp"

namespace slopewise {

// Numbers as bytes for as long as they are whole ones from 0 to 255.
class Numbers {
 public:
  void add(double number);
  bool are_bytes() const { return wide_.empty(); }
  std::size_t size() const { return wide_.empty() ? bytes_.size() : wide_.size(); }
  double operator[](std::size_t i) const { return wide_.empty() ? bytes_[i] : wide_[i]; }
  // Takes every `columns`-th number from `column` on out and gives it back.
  std::vector<double> take_column(std::size_t columns, std::size_t column);
  // What is left, as bytes or, where it is not bytes alone, as doubles.
  std::vector<std::uint8_t> take_bytes() { return std::move(bytes_); }
  std::vector<double> take_wide() { return std::move(wide_); }
  // Goes back to bytes where all numbers can.
  void narrow();

 private:
  std::vector<std::uint8_t> bytes_;
  std::vector<double> wide_;
};

struct CsvTable {
  // Of a column whose first field is a word: its distinct words, in order; its numbers are places among them.
  struct Words {
    std::vector<std::string> names;
    std::unordered_map<std::string, std::size_t> places;
  };

  std::string where;
  std::vector<std::string> header;  // names of the columns, or none
  std::size_t columns = 0, rows = 0;
  std::size_t before = 0;                 // columns of the file that come before the first of these
  Numbers numbers;                        // row after row
  std::map<std::size_t, Words> words;     // by column
  std::map<std::size_t, bool> fractions;  // columns in which a number is written with a point or an exponent

  // "column 3, "petal width"".
  std::string column_name(std::size_t column) const;
  // Takes the first column out; the others keep their numbers for people.
  void drop_first();
};

// Reads a table, plain or gzipped. The separator is whichever of , ; tab and | the first record has most of. The first
// record is a header if a column has no number there but one in the second, if none of several has a number, or if
// `label`, label, class, target or y is among its fields. Throws FileError for a file that cannot be read, for records
// of other lengths than the first, for a field that is empty or no finite number where the column's first one is, for
// quotes that are not RFC 4180's, and past 2²⁰ fields a record or bytes a field.
CsvTable read_csv(const std::filesystem::path& path, const std::string& label, UnpackLimit limit);

}  // namespace slopewise
