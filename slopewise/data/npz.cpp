#include "slopewise/data/npz.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/data/npy.hpp"

namespace slopewise {
namespace {

static_assert(std::endian::native == std::endian::little, "npz entries are written and read as they lie in memory");

constexpr std::string_view kSuffix = ".npy";
constexpr std::size_t kChunk = std::size_t{1} << 16;  // entries converted at a time

// Whether T holds the value exactly; floating T accepts all and rounds.
template <class T, class From>
bool fits(From value) {
  if constexpr (std::floating_point<T>) {
    return true;
  } else if constexpr (std::floating_point<From>) {
    // Both bounds are powers of two, hence exact in From.
    constexpr From kBound = -static_cast<From>(std::numeric_limits<T>::min());
    return value >= -kBound && value < kBound && value == std::trunc(value);
  } else {
    return std::in_range<T>(value);
  }
}

// Feeds the raw bytes to `crc` and appends up to `count` entries of type From to `out`; returns how many there were.
template <class From, class T>
std::size_t append(ByteReader& reader, std::size_t count, const std::string& where, uLong& crc, std::vector<T>& out) {
  std::vector<From> chunk(count);
  const auto raw = std::as_writable_bytes(std::span(chunk));
  auto* bytes = reinterpret_cast<std::uint8_t*>(raw.data());
  const std::size_t found = reader.read({bytes, raw.size()});
  crc = crc32_z(crc, bytes, found);
  chunk.resize(found / sizeof(From));
  for (const From value : chunk) {
    if (!fits<T>(value)) {
      throw FileError(fmt::format("{}: entry {} is {}, which does not fit into an integer of {} bytes", where,
                                  out.size(), value, sizeof(T)));
    }
    out.push_back(static_cast<T>(value));
  }
  return chunk.size();
}

template <class T>
std::size_t append(NpyType type, ByteReader& reader, std::size_t count, const std::string& where, uLong& crc,
                   std::vector<T>& out) {
  switch (type) {
    case NpyType::kFloat32:
      return append<float>(reader, count, where, crc, out);
    case NpyType::kFloat64:
      return append<double>(reader, count, where, crc, out);
    case NpyType::kInt32:
      return append<std::int32_t>(reader, count, where, crc, out);
    case NpyType::kInt64:
      return append<std::int64_t>(reader, count, where, crc, out);
    case NpyType::kUint8:
      return append<std::uint8_t>(reader, count, where, crc, out);
  }
  return 0;
}

}  // namespace

template <class T>
void NpzWriter::add(const std::string& name, const Shape& shape, std::span<const T> values) {
  if (std::ssize(values) != shape.size()) {
    throw ShapeError(fmt::format("NpzWriter::add: {} values for {}, expected {} for shape {}", values.size(), name,
                                 shape.size(), shape.to_string()));
  }
  if (name.empty()) throw ArgumentError("NpzWriter::add: the name is empty");
  const std::string header = format_npy_header({npy_type<T>(), shape});
  zip_.add(name + std::string(kSuffix), {std::as_bytes(std::span(header)), std::as_bytes(values)});
}

template void NpzWriter::add(const std::string&, const Shape&, std::span<const float>);
template void NpzWriter::add(const std::string&, const Shape&, std::span<const double>);
template void NpzWriter::add(const std::string&, const Shape&, std::span<const std::int32_t>);
template void NpzWriter::add(const std::string&, const Shape&, std::span<const std::int64_t>);
template void NpzWriter::add(const std::string&, const Shape&, std::span<const std::uint8_t>);

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const auto& [member, details] : zip_.members()) {
    if (member.ends_with(kSuffix)) names.push_back(member.substr(0, member.size() - kSuffix.size()));
  }
  std::ranges::sort(names);  // "a-b.npy" comes before "a.npy", but "a" before "a-b"
  return names;
}

Shape NpzFile::shape(const std::string& name) const {
  ByteReader reader = open(name);
  std::vector<std::uint8_t> raw;
  return read_npy_header(reader, where(name), raw).shape;
}

template <class T>
std::vector<T> NpzFile::read(const std::string& name, const Shape& expected) const {
  ByteReader reader = open(name);
  const ZipMember& member = zip_.members().at(name + std::string(kSuffix));
  const std::string place = where(name);
  std::vector<std::uint8_t> raw;
  const NpyHeader header = read_npy_header(reader, place, raw);
  if (header.shape != expected) {
    throw FileError(
        fmt::format("{}: found shape {}, expected {}", place, header.shape.to_string(), expected.to_string()));
  }
  const auto count = static_cast<std::uint64_t>(expected.size());
  const std::uint64_t bytes = count * item_size(header.type);
  if (member.size < raw.size() || member.size - raw.size() != bytes) {
    throw FileError(fmt::format("{}: a member of {} bytes, expected {} for shape {}", place, member.size,
                                raw.size() + bytes, expected.to_string()));
  }

  uLong crc = crc32_z(0, raw.data(), raw.size());
  std::vector<T> values;
  // No more at once than bytes on the disk stand for; past that the vector grows as data arrive.
  values.reserve(static_cast<std::size_t>(std::min(count, member.packed_size / item_size(header.type))));
  while (values.size() < count) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count - values.size(), kChunk));
    if (append(header.type, reader, wanted, place, crc, values) < wanted) {
      throw FileError(fmt::format("{}: expected {} entries, found {}", place, count, values.size()));
    }
  }
  if (!reader.at_end()) throw FileError(fmt::format("{}: expected {} entries, found more", place, count));
  if (crc != member.crc) {
    throw FileError(fmt::format("{}: the checksum is {:08x}, expected {:08x}", place, crc, member.crc));
  }
  return values;
}

template std::vector<float> NpzFile::read(const std::string&, const Shape&) const;
template std::vector<double> NpzFile::read(const std::string&, const Shape&) const;
template std::vector<std::int32_t> NpzFile::read(const std::string&, const Shape&) const;
template std::vector<std::int64_t> NpzFile::read(const std::string&, const Shape&) const;

ByteReader NpzFile::open(const std::string& name) const {
  if (!contains(name)) {
    std::string there;
    for (const std::string& other : names()) there += (there.empty() ? "" : ", ") + other;
    throw FileError(
        fmt::format("{}: found no array {}; it holds {}", zip_.path().string(), name, there.empty() ? "none" : there));
  }
  return zip_.open(name + std::string(kSuffix));
}

std::string NpzFile::where(const std::string& name) const {
  return fmt::format("{}: array {}", zip_.path().string(), name);
}

}  // namespace slopewise
