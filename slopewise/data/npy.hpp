// NumPy's .npy format (NEP 1, numpy.lib.format): a header of magic, version, length and a Python dict literal, then the
// entries.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
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

// An array that someone else may have written, read once: its header when this is made, its entries when asked for.
class NpyReader {
 public:
  // `size` bytes that come from `bytes`, of which `stored` lie on the disk; with a `crc`, their CRC-32. `where` names
  // the array in errors. Throws FileError for a header of another form or version, entries that are no numbers (bool,
  // int, uint and float of either byte order are), or a size that is not what the header claims.
  NpyReader(ByteReader bytes, std::uint64_t size, std::uint64_t stored, std::string where,
            std::optional<std::uint32_t> crc = {});
  // A .npy file. Throws FileError as above, or if there is no regular file.
  static NpyReader open(const std::filesystem::path& path);

  const ArrayHeader& header() const { return header_; }
  NumberType type() const { return header_.type; }
  const Shape& shape() const { return header_.shape; }
  const std::string& where() const { return where_; }

  // The entries, row-major, as T in {float, double, int32, int64, uint8}. Floating T rounds to nearest; integer T takes
  // only values it holds exactly. Memory grows with the data that arrive. To be called once, as array() is. Throws
  // FileError if a value does not fit, or the data are short, long or fail their checksum.
  template <class T>
  std::vector<T> read();
  // The same as read_array has it.
  Array array();

 private:
  std::string take(std::size_t count);
  ArrayHeader take_header();

  ByteReader bytes_;
  std::string where_;
  std::uint64_t stored_;
  std::optional<std::uint32_t> expected_crc_;
  std::uint32_t crc_ = 0;           // of the bytes taken so far
  std::uint64_t header_bytes_ = 0;  // taken so far
  ArrayHeader header_;
};

}  // namespace slopewise
