// NumPy's .npy format (NEP 1, numpy.lib.format): a header of magic, version, length and a Python dict literal, then the
// entries.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/data/byte_reader.hpp"
#include "slopewise/data/number.hpp"
#include "slopewise/data/rows.hpp"

namespace slopewise {

// As headers spell it: "<f4", "|u1".
std::string type_code(NumberType type);

// The bytes that come before the entries, a multiple of 64 of them. Throws ShapeError past NumPy's limit of 32 axes.
std::string format_npy_header(NumberType type, const Shape& shape);

// Words by their places among the distinct ones.
struct NpyWords {
  std::vector<std::string> names;  // in the order in which they come, as UTF-8
  std::vector<double> places;      // row-major
};

// An array that someone else may have written, read once: its header when this is made, its entries when asked for.
class NpyReader {
 public:
  // `size` bytes that come from `bytes`, of which `stored` lie on the disk; with a `crc`, their CRC-32. `where` names
  // the array in errors. Throws FileError for a header of another form or version, entries that are neither numbers
  // (bool, int, uint and float of either byte order) nor text (U and S), or a size that is not what the header claims.
  NpyReader(ByteReader bytes, std::uint64_t size, std::uint64_t stored, std::string where,
            std::optional<std::uint32_t> crc = {});
  // A .npy file. Throws FileError as above, or if there is no regular file.
  static NpyReader open(const std::filesystem::path& path);

  const ArrayHeader& header() const { return header_; }
  NumberType type() const { return header_.type; }
  bool is_text() const { return text_.has_value(); }
  const Shape& shape() const { return header_.shape; }
  const std::string& where() const { return where_; }

  // The entries of numbers, row-major, as T in {float, double, int32, int64, uint8}. Floating T rounds to nearest;
  // integer T takes only values it holds exactly. Memory grows with the data that arrive. To be called once, as array()
  // is. Throws FileError if a value does not fit, the entries are text, or the data are short, long or fail their
  // checksum.
  template <class T>
  std::vector<T> read();
  // The same as read_array has it.
  Array array();
  // The entries of text, of at most `most` distinct words, where all axes but the first are of extent 1. Throws
  // FileError for more words, an empty one, what is no Unicode, and as read() does.
  NpyWords words(std::size_t most);

 private:
  // How entries of text lie in the file.
  struct Text {
    std::size_t width = 0;  // characters; what is unused is zeros at the end
    bool unicode = false;   // of four bytes each, else of one
    ByteOrder order = ByteOrder::kLittle;

    std::size_t bytes() const { return unicode ? 4 * width : width; }
  };

  std::string take(std::size_t count);
  ArrayHeader take_header();
  std::string word(std::span<const std::uint8_t> entry) const;
  void require_numbers() const;
  void check_end(std::uint64_t count);

  ByteReader bytes_;
  std::string where_;
  std::uint64_t stored_;
  std::optional<std::uint32_t> expected_crc_;
  std::uint32_t crc_ = 0;           // of the bytes taken so far
  std::uint64_t header_bytes_ = 0;  // taken so far
  std::optional<Text> text_;        // in place of header_.type
  ArrayHeader header_;
};

}  // namespace slopewise
