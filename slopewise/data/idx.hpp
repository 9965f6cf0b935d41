// The IDX format of MNIST: http://yann.lecun.com/exdb/mnist (two zero bytes, a type, a rank, big-endian extents,
// entries).
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

struct ByteArray {
  Shape shape;
  std::vector<std::uint8_t> bytes;  // row-major, shape.size() of them
};

// Reads an IDX file of unsigned bytes, plain or gzipped (told by its content, not its name). Memory grows with the data
// that arrive and never past twice what the header claims. Throws FileError if the file cannot be read, holds another
// type, or holds fewer or more bytes than its header promises.
ByteArray read_idx(const std::filesystem::path& path);

}  // namespace slopewise
