// Rows of numbers as they are stored, in memory or in files, from where they are read when they are asked for: what
// lets a data set be larger than memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/data/byte_reader.hpp"
#include "slopewise/data/number.hpp"

namespace slopewise {

// An array in a file, as its header has it.
struct ArrayHeader {
  NumberType type = NumberType::kFloat32;
  ByteOrder order = ByteOrder::kLittle;
  bool fortran = false;  // the first index runs fastest
  Shape shape;
};

class Rows {
 public:
  Rows() = default;
  // In memory, row after row, for T in {float, double, int64, int32, uint8}. Throws ArgumentError unless they are whole
  // rows.
  template <class T>
  Rows(std::vector<T> values, Index row_size);
  // The same of entries of any type as bytes.
  Rows(std::vector<std::uint8_t> entries, NumberType type, Index row_size);
  // In a file: `count` rows, the first at `offset`, each `stride` bytes after the one before; all must lie in the file.
  Rows(std::shared_ptr<const InputFile> file, std::uint64_t offset, std::uint64_t stride, NumberType type,
       ByteOrder order, Index count, Index row_size);

  Index count() const { return count_; }
  Index row_size() const { return row_size_; }
  // Of the first part; kUint8 where there are no rows.
  NumberType type() const { return parts_.empty() ? NumberType::kUint8 : parts_.front().type; }
  // Rows of another place after these. Throws ArgumentError for another size.
  void append(const Rows& more);
  // Bytes of memory that the rows take; what lies in files counts nothing.
  Index held_bytes() const;

  // The numbers of the rows at `indices`, each below count(), as T in {float, double}, rounded to nearest. `out` has
  // indices.size() · row_size() entries. From a file this takes a buffer of a megabyte or one row, whichever is more.
  // Throws FileError where the file can no longer be read.
  template <class T>
  void read(std::span<const Index> indices, std::span<T> out) const;

 private:
  struct Part {
    std::shared_ptr<const void> owner;  // of `bytes`
    const std::uint8_t* bytes = nullptr;
    std::shared_ptr<const InputFile> file;  // where there are no bytes in memory
    std::uint64_t offset = 0, stride = 0;
    NumberType type = NumberType::kUint8;
    ByteOrder order = ByteOrder::kLittle;
    Index first = 0, count = 0;
  };

  void hold(std::shared_ptr<const void> owner, const std::uint8_t* bytes, Index entries, NumberType type,
            Index row_size);

  std::vector<Part> parts_;
  Index count_ = 0, row_size_ = 0;
};

// An array from a file: one row for each index of its first axis.
struct Array {
  std::string where;  // what errors call it
  Shape shape;        // of rank 1 or more
  Rows rows;
};

// Arrays up to this size are held in memory: a run then does without their files.
inline constexpr std::uint64_t kHeldBytes = std::uint64_t{64} << 20;

// The array whose entries are the rest of `bytes`. Where they lie in the file as they are, row after row, and take more
// than kHeldBytes, they stay there; else they are read whole, in their own type. With a `crc` the entries' bytes, which
// follow bytes of the CRC-32 `crc_so_far`, must have it. Throws FileError for a scalar, or if there are fewer or more
// bytes than the shape needs.
Array read_array(ByteReader bytes, const ArrayHeader& header, std::string where, std::optional<std::uint32_t> crc = {},
                 std::uint32_t crc_so_far = 0);

// Puts entries of `item` bytes whose first index runs fastest in the order in which the last does.
void to_c_order(std::span<std::uint8_t> entries, const Shape& shape, std::size_t item);

}  // namespace slopewise
