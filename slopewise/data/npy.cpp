#include "slopewise/data/npy.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

static_assert(std::endian::native == std::endian::little, "npy entries are written and read as they lie in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::int64_t kMaxRank = 32;
constexpr std::size_t kMaxHeaderBytes = 0xFFFF;       // far past any header of 32 axes
constexpr std::size_t kChunk = std::size_t{1} << 16;  // entries converted at a time
constexpr std::pair<NpyType, std::string_view> kTypes[] = {{NpyType::kFloat32, "<f4"},
                                                           {NpyType::kFloat64, "<f8"},
                                                           {NpyType::kInt32, "<i4"},
                                                           {NpyType::kInt64, "<i8"},
                                                           {NpyType::kUint8, "|u1"}};

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

}  // namespace

std::string_view type_code(NpyType type) {
  return std::ranges::find(kTypes, type, &std::pair<NpyType, std::string_view>::first)->second;
}

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

NpyReader::NpyReader(ByteReader bytes, std::uint64_t size, std::uint64_t stored, std::string where,
                     std::optional<std::uint32_t> crc)
    : bytes_(std::move(bytes)), where_(std::move(where)), stored_(stored), expected_crc_(crc), header_(take_header()) {
  const std::uint64_t expected = header_bytes_ + static_cast<std::uint64_t>(shape().size()) * item_size(type());
  if (size != expected) {
    throw FileError(
        fmt::format("{}: {} bytes in all, expected {} for shape {}", where_, size, expected, shape().to_string()));
  }
}

NpyReader NpyReader::open(const std::filesystem::path& path) {
  ByteReader bytes = ByteReader::open_stored(path);
  const std::uint64_t size = bytes.remaining();
  return NpyReader(std::move(bytes), size, size, path.string());
}

std::string NpyReader::take(std::size_t count) {
  const auto bytes = bytes_.read_up_to(count);
  if (bytes.size() < count) {
    throw FileError(fmt::format("{}: expected {} more bytes of npy header, found {}", where_, count, bytes.size()));
  }
  crc_ = static_cast<std::uint32_t>(crc32_z(crc_, bytes.data(), bytes.size()));
  header_bytes_ += count;
  return {bytes.begin(), bytes.end()};
}

NpyHeader NpyReader::take_header() {
  const std::string start = take(kMagic.size() + 2);
  const int version = static_cast<std::uint8_t>(start[kMagic.size()]);
  if (!start.starts_with(kMagic) || version < 1 || version > 3 || start.back() != 0) {
    throw FileError(fmt::format("{}: expected an npy array of version 1.0, 2.0 or 3.0", where_));
  }
  std::size_t length = 0;
  const std::string digits = take(version == 1 ? 2 : 4);
  for (std::size_t i = digits.size(); i-- > 0;) length = length << 8 | static_cast<std::uint8_t>(digits[i]);
  if (length > kMaxHeaderBytes) {
    throw FileError(fmt::format("{}: an npy header of {} bytes, expected {} at most", where_, length, kMaxHeaderBytes));
  }
  const std::string text = take(length);
  HeaderParser parser(text);
  if (!parser.parse()) {
    throw FileError(fmt::format("{}: expected an npy header with descr, fortran_order and shape, found {:?}", where_,
                                text.substr(0, 120)));
  }
  const auto type = std::ranges::find_if(kTypes, [&](const auto& entry) {
    return entry.second == *parser.descr || (entry.first == NpyType::kUint8 && *parser.descr == "<u1");
  });
  if (type == std::end(kTypes)) {
    throw FileError(fmt::format("{}: entries of type {}, expected <f4, <f8, <i4, <i8 or |u1", where_, *parser.descr));
  }
  const NpyHeader header{type->first, checked_shape(*parser.extents, type->first, where_)};
  if (*parser.fortran_order && header.shape.rank() > 1) {
    throw FileError(fmt::format("{}: Fortran order of shape {}, expected C order", where_, header.shape.to_string()));
  }
  return header;
}

// Appends up to `count` entries of type From to `out`; returns how many there were.
template <class From, class T>
std::size_t NpyReader::append(std::size_t count, std::vector<T>& out) {
  std::vector<From> chunk(count);
  const auto raw = std::as_writable_bytes(std::span(chunk));
  auto* bytes = reinterpret_cast<std::uint8_t*>(raw.data());
  const std::size_t found = bytes_.read({bytes, raw.size()});
  crc_ = static_cast<std::uint32_t>(crc32_z(crc_, bytes, found));
  chunk.resize(found / sizeof(From));
  for (const From value : chunk) {
    if (!fits<T>(value)) {
      throw FileError(fmt::format("{}: entry {} is {}, which does not fit into an integer of {} bytes", where_,
                                  out.size(), value, sizeof(T)));
    }
    out.push_back(static_cast<T>(value));
  }
  return chunk.size();
}

template <class T>
std::size_t NpyReader::append_entries(std::size_t count, std::vector<T>& out) {
  switch (type()) {
    case NpyType::kFloat32:
      return append<float>(count, out);
    case NpyType::kFloat64:
      return append<double>(count, out);
    case NpyType::kInt32:
      return append<std::int32_t>(count, out);
    case NpyType::kInt64:
      return append<std::int64_t>(count, out);
    case NpyType::kUint8:
      return append<std::uint8_t>(count, out);
  }
  return 0;
}

template <class T>
std::vector<T> NpyReader::read() {
  const auto count = static_cast<std::uint64_t>(shape().size());
  std::vector<T> values;
  // No more at once than bytes on the disk stand for; past that the vector grows as data arrive.
  values.reserve(static_cast<std::size_t>(std::min(count, stored_ / item_size(type()))));
  while (values.size() < count) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count - values.size(), kChunk));
    if (append_entries(wanted, values) < wanted) {
      throw FileError(fmt::format("{}: expected {} entries, found {}", where_, count, values.size()));
    }
  }
  if (!bytes_.at_end()) throw FileError(fmt::format("{}: expected {} entries, found more", where_, count));
  if (expected_crc_ && crc_ != *expected_crc_) {
    throw FileError(fmt::format("{}: the checksum is {:08x}, expected {:08x}", where_, crc_, *expected_crc_));
  }
  return values;
}

template std::vector<float> NpyReader::read();
template std::vector<double> NpyReader::read();
template std::vector<std::int32_t> NpyReader::read();
template std::vector<std::int64_t> NpyReader::read();
template std::vector<std::uint8_t> NpyReader::read();

}  // namespace slopewise
