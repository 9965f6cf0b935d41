// The IDX format of MNIST: http://yann.lecun.com/exdb/mnist (two zero bytes, a type, a rank, big-endian extents,
// entries).
#pragma once

#include <filesystem>

#include "slopewise/data/rows.hpp"

namespace slopewise {

// Reads an IDX file of any of its types, plain or gzipped (told by its content, not its name), as read_array does.
// Memory grows with the data that arrive and never past twice what the header claims. Throws FileError if the file
// cannot be read, holds fewer or more bytes than its header promises, or unpacks past the limit.
Array read_idx(const std::filesystem::path& path, UnpackLimit limit = {});

}  // namespace slopewise
