#include "slopewise/data/npz.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr std::string_view kSuffix = ".npy";

}  // namespace

template <class T>
void NpzWriter::add(const std::string& name, const Shape& shape, std::span<const T> values) {
  if (std::ssize(values) != shape.size()) {
    throw ShapeError(fmt::format("NpzWriter::add: {} values for {}, expected {} for shape {}", values.size(), name,
                                 shape.size(), shape.to_string()));
  }
  if (name.empty()) throw ArgumentError("NpzWriter::add: the name is empty");
  const std::string header = format_npy_header(number_type<T>(), shape);
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

NpyReader NpzFile::open(const std::string& name) const {
  if (!contains(name)) {
    throw FileError(fmt::format("{}: found no array {}; it holds {}", zip_.path().string(), name,
                                names().empty() ? "none" : fmt::format("{}", fmt::join(names(), ", "))));
  }
  const std::string member_name = name + std::string(kSuffix);
  const ZipMember& member = zip_.members().at(member_name);
  return NpyReader(zip_.open(member_name), member.size, member.packed_size,
                   fmt::format("{}: array {}", zip_.path().string(), name), member.crc);
}

template <class T>
std::vector<T> NpzFile::read(const std::string& name, const Shape& expected) const {
  NpyReader array = open(name);
  if (array.shape() != expected) {
    throw FileError(
        fmt::format("{}: found shape {}, expected {}", array.where(), array.shape().to_string(), expected.to_string()));
  }
  return array.read<T>();
}

template std::vector<float> NpzFile::read(const std::string&, const Shape&) const;
template std::vector<double> NpzFile::read(const std::string&, const Shape&) const;
template std::vector<std::int32_t> NpzFile::read(const std::string&, const Shape&) const;
template std::vector<std::int64_t> NpzFile::read(const std::string&, const Shape&) const;

}  // namespace slopewise
