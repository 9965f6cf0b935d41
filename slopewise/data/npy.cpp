#include "slopewise/data/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::int64_t kMaxRank = 32;
constexpr std::size_t kMaxHeaderBytes = 0xFFFF;  // far past any header of 32 axes
constexpr std::pair<NpyType, std::string_view> kTypes[] = {{NpyType::kFloat32, "<f4"},
                                                           {NpyType::kFloat64, "<f8"},
                                                           {NpyType::kInt32, "<i4"},
                                                           {NpyType::kInt64, "<i8"},
                                                           {NpyType::kUint8, "|u1"}};

std::string_view type_code(NpyType type) {
  return std::ranges::find(kTypes, type, &std::pair<NpyType, std::string_view>::first)->second;
}

// Reads the dict literal that NumPy writes: keys in any order, each once. Every function returns false or nothing when
// the text goes on otherwise.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  bool parse() {
    if (!take('{')) return false;
    while (!take('}')) {
      const auto key = quoted();
      if (!key || !take(':') || !value(*key)) return false;
      if (!take(',') && !next_is('}')) return false;
    }
    skip_space();
    return rest_.empty() && descr && fortran_order && extents;
  }

  std::optional<std::string_view> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> extents;

 private:
  bool value(std::string_view key) {
    if (key == "descr" && !descr) return (descr = quoted()).has_value();
    if (key == "fortran_order" && !fortran_order) return (fortran_order = boolean()).has_value();
    if (key == "shape" && !extents) return (extents = tuple()).has_value();
    return false;
  }

  std::optional<std::string_view> quoted() {
    skip_space();
    if (!next_is('\'') && !next_is('"')) return {};
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return {};
    const std::string_view inside = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return inside;
  }

  std::optional<bool> boolean() {
    skip_space();
    for (const auto& [word, meaning] : {std::pair{std::string_view("True"), true}, {"False", false}}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return meaning;
    }
    return {};
  }

  std::optional<std::vector<std::int64_t>> tuple() {
    if (!take('(')) return {};
    std::vector<std::int64_t> numbers;
    while (!take(')')) {
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
      if (error != std::errc{} || number < 0 || std::ssize(numbers) == kMaxRank) return {};
      numbers.push_back(number);
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      if (!take(',') && !next_is(')')) return {};
      skip_space();
    }
    return numbers;
  }

  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size())); }
  bool next_is(char c) const { return rest_.starts_with(c); }
  bool take(char c) {
    skip_space();
    if (!next_is(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::string_view rest_;
};

// Appends `count` bytes to `raw` and returns them as text.
std::string take(ByteReader& reader, std::size_t count, const std::string& where, std::vector<std::uint8_t>& raw) {
  const auto bytes = reader.read_up_to(count);
  if (bytes.size() < count) {
    throw FileError(fmt::format("{}: expected {} more bytes of npy header, found {}", where, count, bytes.size()));
  }
  raw.insert(raw.end(), bytes.begin(), bytes.end());
  return {bytes.begin(), bytes.end()};
}

// A shape whose bytes 64 bits can count.
Shape checked_shape(std::vector<std::int64_t> extents, NpyType type, const std::string& where) {
  try {
    Shape shape(extents);
    extents.push_back(static_cast<std::int64_t>(item_size(type)));
    Shape{extents};
    return shape;
  } catch (const ShapeError& error) {
    throw FileError(fmt::format("{}: the npy header claims {}", where, error.what()));
  }
}

}  // namespace

std::size_t item_size(NpyType type) {
  return static_cast<std::size_t>(type_code(type).back() - '0');
}

std::string format_npy_header(const NpyHeader& header) {
  if (header.shape.rank() > kMaxRank) {
    throw ShapeError(fmt::format("npy: an array of rank {}, expected {} at most", header.shape.rank(), kMaxRank));
  }
  std::string shape = header.shape.to_string();
  if (header.shape.rank() == 1) shape.replace(shape.size() - 1, 1, ",)");  // Python's tuple of one
  std::string dict =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", type_code(header.type), shape);
  // Magic, two bytes of version and two of length come first; the newline last.
  const std::size_t fixed = kMagic.size() + 4 + 1;
  dict.append(63 - (fixed + dict.size() + 63) % 64, ' ');
  dict += '\n';
  std::string text(kMagic);
  for (const std::size_t byte : {std::size_t{1}, std::size_t{0}, dict.size() & 0xFF, dict.size() >> 8}) {
    text += static_cast<char>(byte);
  }
  return text + dict;
}

NpyHeader read_npy_header(ByteReader& reader, const std::string& where, std::vector<std::uint8_t>& raw) {
  const std::string start = take(reader, kMagic.size() + 2, where, raw);
  const int version = static_cast<std::uint8_t>(start[kMagic.size()]);
  if (!start.starts_with(kMagic) || version < 1 || version > 3 || start.back() != 0) {
    throw FileError(fmt::format("{}: expected an npy array of version 1.0, 2.0 or 3.0", where));
  }
  std::size_t length = 0;
  const std::string digits = take(reader, version == 1 ? 2 : 4, where, raw);
  for (std::size_t i = digits.size(); i-- > 0;) length = length << 8 | static_cast<std::uint8_t>(digits[i]);
  if (length > kMaxHeaderBytes) {
    throw FileError(fmt::format("{}: an npy header of {} bytes, expected {} at most", where, length, kMaxHeaderBytes));
  }
  const std::string text = take(reader, length, where, raw);
  HeaderParser parser(text);
  if (!parser.parse()) {
    throw FileError(fmt::format("{}: expected an npy header with descr, fortran_order and shape, found {:?}", where,
                                text.substr(0, 120)));
  }
  const auto type = std::ranges::find_if(kTypes, [&](const auto& entry) {
    return entry.second == *parser.descr || (entry.first == NpyType::kUint8 && *parser.descr == "<u1");
  });
  if (type == std::end(kTypes)) {
    throw FileError(fmt::format("{}: entries of type {}, expected <f4, <f8, <i4, <i8 or |u1", where, *parser.descr));
  }
  const NpyHeader header{type->first, checked_shape(*parser.extents, type->first, where)};
  if (*parser.fortran_order && header.shape.rank() > 1) {
    throw FileError(fmt::format("{}: Fortran order of shape {}, expected C order", where, header.shape.to_string()));
  }
  return header;
}

}  // namespace slopewise
