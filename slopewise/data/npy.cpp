#include "slopewise/data/npy.hpp"

#include <fmt/format.h>
#include <utf8proc.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/base/parse.hpp"

namespace slopewise {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::int64_t kMaxRank = 32;
constexpr std::size_t kMaxHeaderBytes = 0xFFFF;       // far past any header of 32 axes
constexpr std::size_t kChunk = std::size_t{1} << 16;  // entries converted at a time
constexpr std::size_t kMostCharacters = 1 << 18;      // of an entry of text
// As headers spell types, without the byte order.
constexpr std::pair<NumberType, std::string_view> kTypes[] = {
    {NumberType::kFloat64, "f8"}, {NumberType::kFloat32, "f4"}, {NumberType::kFloat16, "f2"},
    {NumberType::kInt64, "i8"},   {NumberType::kInt32, "i4"},   {NumberType::kInt16, "i2"},
    {NumberType::kInt8, "i1"},    {NumberType::kUint64, "u8"},  {NumberType::kUint32, "u4"},
    {NumberType::kUint16, "u2"},  {NumberType::kUint8, "u1"},   {NumberType::kBool, "b1"}};

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
Shape checked_shape(std::vector<std::int64_t> extents, std::size_t item, const std::string& where) {
  try {
    Shape shape(extents);
    extents.push_back(static_cast<std::int64_t>(item));
    Shape{extents};
    return shape;
  } catch (const ShapeError& error) {
    throw FileError(fmt::format("{}: the npy header claims {}", where, error.what()));
  }
}

// Appends a character as UTF-8; false for what is none.
bool append_character(std::string& text, std::uint32_t code) {
  const auto character = static_cast<utf8proc_int32_t>(code);
  if (!utf8proc_codepoint_valid(character)) return false;
  std::array<utf8proc_uint8_t, 4> bytes = {};
  text.append(bytes.begin(), bytes.begin() + utf8proc_encode_char(character, bytes.data()));
  return true;
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

std::string type_code(NumberType type) {
  const auto code = std::ranges::find(kTypes, type, &std::pair<NumberType, std::string_view>::first)->second;
  return fmt::format("{}{}", item_size(type) == 1 ? '|' : '<', code);
}

std::string format_npy_header(NumberType type, const Shape& extents) {
  if (extents.rank() > kMaxRank) {
    throw ShapeError(fmt::format("npy: an array of rank {}, expected {} at most", extents.rank(), kMaxRank));
  }
  std::string shape = extents.to_string();
  if (extents.rank() == 1) shape.replace(shape.size() - 1, 1, ",)");  // Python's tuple of one
  std::string dict = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", type_code(type), shape);
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
  const std::uint64_t expected =
      header_bytes_ + static_cast<std::uint64_t>(shape().size()) * (text_ ? text_->bytes() : item_size(type()));
  if (size != expected) {
    throw FileError(
        fmt::format("{}: {} bytes in all, expected {} for shape {}", where_, size, expected, shape().to_string()));
  }
}

NpyReader NpyReader::open(const std::filesystem::path& path) {
  const auto file = std::make_shared<const InputFile>(path);
  return NpyReader(ByteReader(file, Coding::kStored, 0, file->size()), file->size(), file->size(), path.string());
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

ArrayHeader NpyReader::take_header() {
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
  const std::string_view descr = *parser.descr;
  const std::string_view code = descr.substr(std::min<std::size_t>(1, descr.size()));
  const auto type = std::ranges::find(kTypes, code, &std::pair<NumberType, std::string_view>::second);
  const bool ordered = !descr.empty() && std::string_view("<>|").find(descr.front()) != std::string_view::npos;
  const ByteOrder order = descr.starts_with('>') ? ByteOrder::kBig : ByteOrder::kLittle;
  if (ordered && (code.starts_with('U') || code.starts_with('S'))) {
    const auto width = parse_number<std::size_t>(code.substr(1));
    if (width && *width >= 1 && *width <= kMostCharacters)
      text_ = Text{.width = *width, .unicode = code.starts_with('U'), .order = order};
  }
  if (code.starts_with('O')) {
    throw FileError(
        fmt::format("{}: entries are Python objects, expected numbers, or text for labels: save them as "
                    "y.astype(str) or y.astype(float)",
                    where_));
  }
  if (!ordered || (type == std::end(kTypes) && !text_)) {
    throw FileError(fmt::format(
        "{}: entries of type {}, expected bool, int, uint or float of 1 to 8 bytes, as <f4 is, or text of 1 to "
        "{} characters, as <U5 is",
        where_, descr, kMostCharacters));
  }
  const Shape shape = checked_shape(*parser.extents, text_ ? text_->bytes() : item_size(type->first), where_);
  return {.type = text_ ? NumberType::kUint8 : type->first,
          .order = order,
          .fortran = *parser.fortran_order && shape.rank() > 1,
          .shape = shape};
}

void NpyReader::require_numbers() const {
  if (text_) throw FileError(fmt::format("{}: entries are text, expected numbers", where_));
}

void NpyReader::check_end(std::uint64_t count) {
  if (!bytes_.at_end()) throw FileError(fmt::format("{}: expected {} entries, found more", where_, count));
  if (expected_crc_ && crc_ != *expected_crc_)
    throw FileError(fmt::format("{}: the checksum is {:08x}, expected {:08x}", where_, crc_, *expected_crc_));
}

template <class T>
std::vector<T> NpyReader::read() {
  require_numbers();
  const auto count = static_cast<std::uint64_t>(shape().size());
  std::vector<T> values;
  // No more at once than bytes on the disk stand for; past that the vector grows as data arrive.
  values.reserve(static_cast<std::size_t>(std::min(count, stored_ / item_size(type()))));
  std::vector<std::uint8_t> chunk;
  visit_entry(type(), [&]<class From>(From) {
    while (values.size() < count) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count - values.size(), kChunk));
      chunk.resize(wanted * sizeof(From));
      const std::size_t found = bytes_.read(chunk);
      crc_ = static_cast<std::uint32_t>(crc32_z(crc_, chunk.data(), found));
      if (found < chunk.size()) {
        throw FileError(
            fmt::format("{}: expected {} entries, found {}", where_, count, values.size() + found / sizeof(From)));
      }
      to_native_order(type(), header_.order, chunk);
      for (std::size_t i = 0; i < wanted; ++i) {
        From entry;
        std::memcpy(&entry, &chunk[i * sizeof entry], sizeof entry);
        const auto value = value_of(entry);
        if (!fits<T>(value)) {
          throw FileError(fmt::format("{}: entry {} is {}, which does not fit into an integer of {} bytes", where_,
                                      values.size(), value, sizeof(T)));
        }
        values.push_back(static_cast<T>(value));
      }
    }
  });
  check_end(count);
  if (header_.fortran) {
    to_c_order({reinterpret_cast<std::uint8_t*>(values.data()), values.size() * sizeof(T)}, shape(), sizeof(T));
  }
  return values;
}

std::string NpyReader::word(std::span<const std::uint8_t> entry) const {
  std::string text;
  const std::size_t size = text_->unicode ? 4 : 1;
  while (!entry.empty() && std::ranges::all_of(entry.last(size), [](std::uint8_t byte) { return byte == 0; }))
    entry = entry.first(entry.size() - size);
  for (; !entry.empty(); entry = entry.subspan(size)) {
    if (!text_->unicode) {
      if (entry.front() >= 0x80) {
        throw FileError(
            fmt::format("{}: found the byte {:#x} in text of type S, expected ASCII: save it as type U, with "
                        "numpy.char.decode(y, encoding)",
                        where_, entry.front()));
      }
      text += static_cast<char>(entry.front());
      continue;
    }
    std::uint32_t character = 0;
    for (std::size_t i = 0; i < size; ++i)
      character = character << 8 | entry[text_->order == ByteOrder::kBig ? i : size - 1 - i];
    if (!append_character(text, character))
      throw FileError(fmt::format("{}: found {:#x} in text, expected Unicode's characters", where_, character));
  }
  return text;
}

NpyWords NpyReader::words(std::size_t most) {
  const auto count = static_cast<std::uint64_t>(shape().size());
  if (!text_ || shape().rank() < 1 || shape().size() != shape()[0]) {
    throw FileError(fmt::format("{}: expected text, one an example, found {} of shape {}", where_,
                                text_ ? "text" : "numbers", shape().to_string()));
  }
  NpyWords words;
  std::unordered_map<std::string, std::size_t> places;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::vector<std::uint8_t> entry = bytes_.read_up_to(text_->bytes());
    if (entry.size() < text_->bytes())
      throw FileError(fmt::format("{}: expected {} entries, found {}", where_, count, i));
    crc_ = static_cast<std::uint32_t>(crc32_z(crc_, entry.data(), entry.size()));
    const std::string found = word(entry);
    if (found.empty()) throw FileError(fmt::format("{}: entry {} is empty, expected a word", where_, i));
    const auto [place, fresh] = places.try_emplace(found, words.names.size());
    if (fresh) words.names.push_back(found);
    if (words.names.size() > most)
      throw FileError(fmt::format("{}: more than {} different words, expected names of classes", where_, most));
    words.places.push_back(static_cast<double>(place->second));
  }
  check_end(count);
  return words;
}

Array NpyReader::array() {
  require_numbers();
  return read_array(std::move(bytes_), header_, where_, expected_crc_, crc_);
}

template std::vector<float> NpyReader::read();
template std::vector<double> NpyReader::read();
template std::vector<std::int32_t> NpyReader::read();
template std::vector<std::int64_t> NpyReader::read();
template std::vector<std::uint8_t> NpyReader::read();

}  // namespace slopewise
