#include "slopewise/data/idx.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr std::pair<std::uint8_t, NumberType> kIdxTypes[] = {
    {0x08, NumberType::kUint8}, {0x09, NumberType::kInt8},    {0x0B, NumberType::kInt16},
    {0x0C, NumberType::kInt32}, {0x0D, NumberType::kFloat32}, {0x0E, NumberType::kFloat64}};

std::vector<std::uint8_t> read_header(ByteReader& reader, std::size_t count, const std::string& file) {
  std::vector<std::uint8_t> bytes = reader.read_up_to(count);
  if (bytes.size() < count) {
    throw FileError(fmt::format("{}: expected {} more bytes of IDX header, found {}", file, count, bytes.size()));
  }
  return bytes;
}

// A shape whose bytes 64 bits can count.
Shape checked_idx_shape(std::vector<std::int64_t> extents, NumberType type, const std::string& file) {
  try {
    Shape shape(extents);
    extents.push_back(static_cast<std::int64_t>(item_size(type)));
    Shape{extents};
    return shape;
  } catch (const ShapeError& error) {  // more entries than 64 bits count
    throw FileError(fmt::format("{}: the IDX header claims {}", file, error.what()));
  }
}

}  // namespace

Array read_idx(const std::filesystem::path& path, UnpackLimit limit) {
  const std::string file = path.string();
  ByteReader reader = ByteReader::open(path, limit);

  const auto magic = read_header(reader, 4, file);
  if (magic[0] != 0 || magic[1] != 0) {
    throw FileError(fmt::format("{}: expected an IDX file, which starts with 00 00, found {:02x} {:02x}", file,
                                magic[0], magic[1]));
  }
  const auto type = std::ranges::find(kIdxTypes, magic[2], &std::pair<std::uint8_t, NumberType>::first);
  if (type == std::end(kIdxTypes)) {
    throw FileError(fmt::format(
        "{}: expected IDX entries of type 0x08 (unsigned byte), 0x09, 0x0b, 0x0c, 0x0d or 0x0e, found 0x{:02x}", file,
        magic[2]));
  }
  const std::size_t rank = magic[3];
  if (rank == 0) throw FileError(fmt::format("{}: expected an IDX array of rank 1 or more, found rank 0", file));

  const auto words = read_header(reader, 4 * rank, file);
  std::vector<std::int64_t> extents(rank);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::uint8_t* word = &words[4 * axis];
    extents[axis] = std::int64_t{word[0]} << 24 | word[1] << 16 | word[2] << 8 | word[3];
  }
  const Shape shape = checked_idx_shape(std::move(extents), type->second, file);
  return read_array(std::move(reader), {.type = type->second, .order = ByteOrder::kBig, .shape = shape}, file);
}

}  // namespace slopewise
