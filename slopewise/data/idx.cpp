#include "slopewise/data/idx.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/data/byte_reader.hpp"

namespace slopewise {
namespace {

std::string_view type_name(std::uint8_t type) {
  switch (type) {
    case 0x08:
      return "unsigned byte";
    case 0x09:
      return "signed byte";
    case 0x0B:
      return "int16";
    case 0x0C:
      return "int32";
    case 0x0D:
      return "float32";
    case 0x0E:
      return "float64";
    default:
      return "unknown";
  }
}

std::vector<std::uint8_t> read_header(ByteReader& reader, std::size_t count, const std::string& file) {
  std::vector<std::uint8_t> bytes = reader.read_up_to(count);
  if (bytes.size() < count) {
    throw FileError(fmt::format("{}: expected {} more bytes of IDX header, found {}", file, count, bytes.size()));
  }
  return bytes;
}

Shape checked_shape(std::vector<std::int64_t> extents, const std::string& file) {
  try {
    return Shape(std::move(extents));
  } catch (const ShapeError& error) {  // more entries than 64 bits count
    throw FileError(fmt::format("{}: the IDX header claims {}", file, error.what()));
  }
}

}  // namespace

ByteArray read_idx(const std::filesystem::path& path) {
  const std::string file = path.string();
  ByteReader reader = ByteReader::open(path);

  const auto magic = read_header(reader, 4, file);
  if (magic[0] != 0 || magic[1] != 0) {
    throw FileError(fmt::format("{}: expected an IDX file, which starts with 00 00, found {:02x} {:02x}", file,
                                magic[0], magic[1]));
  }
  if (magic[2] != 0x08) {
    throw FileError(fmt::format("{}: expected IDX entries of type 0x08 (unsigned byte), found 0x{:02x} ({})", file,
                                magic[2], type_name(magic[2])));
  }
  const std::size_t rank = magic[3];
  if (rank == 0) throw FileError(fmt::format("{}: expected an IDX array of rank 1 or more, found rank 0", file));

  const auto words = read_header(reader, 4 * rank, file);
  std::vector<std::int64_t> extents(rank);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::uint8_t* word = &words[4 * axis];
    extents[axis] = std::int64_t{word[0]} << 24 | word[1] << 16 | word[2] << 8 | word[3];
  }
  const Shape shape = checked_shape(std::move(extents), file);
  const auto claimed = static_cast<std::uint64_t>(shape.size());

  ByteArray array{shape, reader.read_up_to(claimed)};
  if (array.bytes.size() < claimed) {
    throw FileError(fmt::format("{}: expected {} bytes after the IDX header for shape {}, found {}", file, claimed,
                                shape.to_string(), array.bytes.size()));
  }
  if (!reader.at_end()) {
    throw FileError(fmt::format("{}: expected {} bytes after the IDX header for shape {}, found more", file, claimed,
                                shape.to_string()));
  }
  return array;
}

}  // namespace slopewise
