#include "slopewise/data/safetensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <type_traits>
#include <utility>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/data/byte_reader.hpp"

namespace slopewise {
namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's bound
constexpr std::size_t kMaxRank = 32;
constexpr std::size_t kChunk = std::size_t{1} << 16;  // entries converted at a time
constexpr std::size_t kMostQuoted = 80;               // bytes of a name that go into an error

constexpr std::pair<std::string_view, NumberType> kTypes[] = {
    {"F64", NumberType::kFloat64},   {"F32", NumberType::kFloat32}, {"F16", NumberType::kFloat16},
    {"BF16", NumberType::kBfloat16}, {"I64", NumberType::kInt64},   {"I32", NumberType::kInt32},
    {"I16", NumberType::kInt16},     {"I8", NumberType::kInt8},     {"U64", NumberType::kUint64},
    {"U32", NumberType::kUint32},    {"U16", NumberType::kUint16},  {"U8", NumberType::kUint8},
    {"BOOL", NumberType::kBool}};

std::string_view code_of(NumberType type) {
  return std::ranges::find(kTypes, type, &std::pair<std::string_view, NumberType>::second)->first;
}

// Whether T holds every value of another type.
template <class T, class From>
constexpr bool kHolds = std::numeric_limits<From>::digits <= std::numeric_limits<T>::digits &&
                        (std::is_floating_point_v<T> || std::is_integral_v<From>);

std::string shown(std::string_view name) {
  return fmt::format("{:?}{}", name.substr(0, kMostQuoted), name.size() > kMostQuoted ? "…" : "");
}

[[noreturn]] void reject(const std::filesystem::path& path, const std::string& why) {
  throw FileError(fmt::format("{}: not a whole safetensors file: {}", path.string(), why));
}

// What the header says of one tensor.
struct Entry {
  std::optional<NumberType> type;
  std::optional<std::vector<std::int64_t>> shape, offsets;
};

// Reads the header as it is parsed, without a tree of it, so that memory is a small multiple of its length and nesting
// is refused where it starts. The public member functions from Null on are the parser's events, called as it asks for
// them; all return true, which is to go on.
class HeaderReader : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, HeaderReader> {
 public:
  explicit HeaderReader(const std::filesystem::path& path) : path_(path) {}

  std::map<std::string, std::string> metadata;
  std::map<std::string, Entry> entries;

  bool Null() { unexpected("null"); }
  bool Bool(bool) { unexpected("a boolean"); }
  // Numbers come as they are written: RapidJSON's own conversion of 1.1.0 reads beyond its table for some exponents.
  bool RawNumber(const char* characters, rapidjson::SizeType size, bool) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(characters, characters + size, value);
    if (!numbers_ || error != std::errc() || end != characters + size || value < 0)
      unexpected(std::string(characters, size));
    if (numbers_->size() == kMaxRank) reject(path_, fmt::format("more than {} numbers for {}", kMaxRank, where()));
    numbers_->push_back(value);
    return true;
  }

  bool String(const char* characters, rapidjson::SizeType size, bool) {
    const std::string_view text(characters, size);
    require_characters(text);
    if (depth_ == 2 && in_metadata()) {
      if (!metadata.emplace(field_, text).second) repeated();
    } else if (depth_ == 2 && field_ == "dtype") {
      const auto found = std::ranges::find(kTypes, text, &std::pair<std::string_view, NumberType>::first);
      if (found == std::end(kTypes)) {
        std::string known;
        for (const auto& [code, type] : kTypes) known += fmt::format("{}{}", known.empty() ? "" : ", ", code);
        reject(path_, fmt::format("{} is {}, expected one of {}", where(), shown(text), known));
      }
      if (std::exchange(entry_->type, found->second)) repeated();
    } else {
      unexpected(shown(text));
    }
    return true;
  }

  bool Key(const char* characters, rapidjson::SizeType size, bool) {
    require_characters({characters, size});
    field_.clear();
    (depth_ == 1 ? name_ : field_).assign(characters, size);
    return true;
  }

  bool StartObject() {
    if (depth_ > 1) unexpected("an object");
    if (++depth_ == 1) return true;
    if (in_metadata()) {
      if (std::exchange(metadata_seen_, true)) repeated();
    } else {
      const auto [entry, fresh] = entries.try_emplace(name_);
      if (!fresh) repeated();
      entry_ = &entry->second;
    }
    return true;
  }

  bool EndObject(rapidjson::SizeType) {
    field_.clear();
    if (depth_-- == 2 && !in_metadata() && !(entry_->type && entry_->shape && entry_->offsets)) {
      reject(path_, fmt::format("{} lacks one of dtype, shape and data_offsets", shown(name_)));
    }
    return true;
  }

  bool StartArray() {
    const bool shape = field_ == "shape";
    if (depth_ != 2 || in_metadata() || (!shape && field_ != "data_offsets")) unexpected("an array");
    auto& numbers = shape ? entry_->shape : entry_->offsets;
    if (numbers) repeated();
    numbers_ = &numbers.emplace();
    ++depth_;
    return true;
  }

  bool EndArray(rapidjson::SizeType) {
    numbers_ = nullptr;
    --depth_;
    return true;
  }

 private:
  // RapidJSON checks what is written in UTF-8, but not that \u escapes are characters: a lone surrogate is none.
  void require_characters(std::string_view text) const {
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
      if (static_cast<unsigned char>(text[i]) == 0xed && static_cast<unsigned char>(text[i + 1]) >= 0xa0)
        reject(path_, "its header has a surrogate that is no character");
    }
  }
  bool in_metadata() const { return name_ == kMetadata; }
  std::string where() const {
    if (depth_ == 0) return "its header";
    return field_.empty() ? shown(name_) : fmt::format("{} {}", shown(name_), shown(field_));
  }
  [[noreturn]] void unexpected(const std::string& found) const {
    const char* expected = "an object with dtype, shape and data_offsets";
    if (depth_ == 0) expected = "an object";
    if (depth_ > 0 && in_metadata()) expected = depth_ == 1 ? "an object of strings" : "a string";
    if (depth_ == 2 && !in_metadata()) expected = "a dtype or an array of whole numbers from 0 on, called so";
    if (depth_ == 3) expected = "a whole number from 0 to 2^63 - 1";
    reject(path_, fmt::format("{} is {}, expected {}", where(), found, expected));
  }
  [[noreturn]] void repeated() const { reject(path_, fmt::format("{} comes twice", where())); }

  const std::filesystem::path& path_;
  int depth_ = 0;
  std::string name_, field_;  // the last keys of the outer and of an inner object
  bool metadata_seen_ = false;
  Entry* entry_ = nullptr;                        // of name_
  std::vector<std::int64_t>* numbers_ = nullptr;  // where the array being read goes
};

// The shape, if its entries take just the bytes that its offsets, which lie in the file, claim.
Shape checked_shape(const std::filesystem::path& path, const std::string& name, const Entry& entry) {
  const std::int64_t claimed = (*entry.offsets)[1] - (*entry.offsets)[0];
  std::optional<Shape> shape;
  try {
    shape.emplace(*entry.shape);
  } catch (const ShapeError& error) {
    reject(path, fmt::format("{}: {}", shown(name), error.what()));
  }
  const auto item = static_cast<std::int64_t>(item_size(*entry.type));
  if (claimed % item != 0 || shape->size() != claimed / item) {
    reject(path, fmt::format("{} has {} bytes, expected {} × {} for {} of shape {}", shown(name), claimed,
                             shape->size(), item, code_of(*entry.type), shape->to_string()));
  }
  return *shape;
}

std::uint64_t header_length(const InputFile& file) {
  const std::filesystem::path& path = file.path();
  const std::uint64_t file_size = file.size();
  if (file_size < kLengthBytes) reject(path, fmt::format("{} bytes, expected at least {}", file_size, kLengthBytes));
  std::uint64_t length = 0;
  file.read(0, {reinterpret_cast<std::uint8_t*>(&length), kLengthBytes});
  const std::uint64_t most = std::min(file_size - kLengthBytes, kMaxHeaderBytes);
  if (length > most) reject(path, fmt::format("a header of {} bytes is claimed, expected {} at most", length, most));
  return length;
}

NumberType type_of(const SafetensorView& tensor) {
  constexpr NumberType kWritten[] = {NumberType::kFloat32, NumberType::kFloat64, NumberType::kInt64};
  return kWritten[tensor.values.index()];
}

// The header of tensors that lie in this order.
std::string header_of(const std::vector<const SafetensorView*>& order,
                      const std::map<std::string, std::string>& metadata) {
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer, rapidjson::UTF8<>, rapidjson::UTF8<>, rapidjson::CrtAllocator,
                    rapidjson::kWriteValidateEncodingFlag>
      header(text);
  const auto write = [&](std::string_view string) {
    if (!header.String(string.data(), static_cast<rapidjson::SizeType>(string.size()))) {
      throw ArgumentError(
          fmt::format("save_safetensors: expected names and metadata in UTF-8, found {}", shown(string)));
    }
  };
  header.StartObject();
  if (!metadata.empty()) {
    write(kMetadata);
    header.StartObject();
    for (const auto& [key, value] : metadata) {
      write(key);
      write(value);
    }
    header.EndObject();
  }
  std::uint64_t end = 0;
  for (const SafetensorView* tensor : order) {
    const std::uint64_t begin = end;
    end += static_cast<std::uint64_t>(tensor->shape.size()) * item_size(type_of(*tensor));
    write(tensor->name);
    header.StartObject();
    write("dtype");
    write(code_of(type_of(*tensor)));
    write("shape");
    header.StartArray();
    for (const Index extent : tensor->shape.extents()) header.Int64(extent);
    header.EndArray();
    write("data_offsets");
    header.StartArray();
    header.Uint64(begin);
    header.Uint64(end);
    header.EndArray();
    header.EndObject();
  }
  header.EndObject();
  return {text.GetString(), text.GetSize()};
}

}  // namespace

void save_safetensors(const std::filesystem::path& path, std::span<const SafetensorView> tensors,
                      const std::map<std::string, std::string>& metadata) {
  std::vector<const SafetensorView*> order;
  std::set<std::string_view> names = {kMetadata};
  for (const SafetensorView& tensor : tensors) {
    const std::size_t count = std::visit([](auto values) { return values.size(); }, tensor.values);
    if (static_cast<std::uint64_t>(tensor.shape.size()) != count) {
      throw ShapeError(fmt::format("save_safetensors: {} has {} values, expected {} for shape {}", shown(tensor.name),
                                   count, tensor.shape.size(), tensor.shape.to_string()));
    }
    if (tensor.shape.extents().size() > kMaxRank) {
      throw ShapeError(fmt::format("save_safetensors: {} has rank {}, expected {} at most", shown(tensor.name),
                                   tensor.shape.rank(), kMaxRank));
    }
    if (!names.insert(tensor.name).second) {
      throw ArgumentError(fmt::format("save_safetensors: the name {} is taken", shown(tensor.name)));
    }
    order.push_back(&tensor);
  }
  std::ranges::sort(order, {}, [](const SafetensorView* tensor) {
    return std::tuple(-static_cast<int>(item_size(type_of(*tensor))), std::string_view(tensor->name));
  });

  std::string text = header_of(order, metadata);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the entries are aligned
  if (text.size() > kMaxHeaderBytes) {
    throw ArgumentError(
        fmt::format("save_safetensors: names and metadata make a header of {} bytes, expected {} at most", text.size(),
                    kMaxHeaderBytes));
  }

  AtomicFile file(path);
  const std::uint64_t length = text.size();
  file.write(&length, sizeof length);
  file.write(text);
  for (const SafetensorView* tensor : order) {
    std::visit([&](auto values) { file.write(values.data(), values.size_bytes()); }, tensor->values);
  }
  file.commit();
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(std::make_shared<const InputFile>(path)) {
  const std::uint64_t file_size = file_->size();
  const std::uint64_t length = header_length(*file_);
  const std::uint64_t data = kLengthBytes + length;
  const auto data_size = static_cast<std::int64_t>(file_size - data);
  std::vector<std::uint8_t> header(length);
  file_->read(kLengthBytes, header);
  // The parser would pass over a byte order mark, and take a NUL for the end.
  if (header.empty() || header.front() != '{') reject(path, "its header does not start with {");
  if (std::ranges::find(header, 0) != header.end()) reject(path, "its header contains a NUL");
  HeaderReader reader(path);
  rapidjson::MemoryStream stream(reinterpret_cast<const char*>(header.data()), header.size());
  const rapidjson::ParseResult parsed =
      rapidjson::Reader().Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag>(stream,
                                                                                                               reader);
  if (!parsed) reject(path, fmt::format("its header is not JSON at byte {}", parsed.Offset()));

  std::vector<std::tuple<std::int64_t, std::int64_t, const std::string*>> places;
  for (const auto& [name, entry] : reader.entries) {
    const std::vector<std::int64_t>& offsets = *entry.offsets;
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_size) {
      reject(path, fmt::format("{}: data_offsets are [{}], expected two within the {} bytes of entries, in order",
                               shown(name), fmt::join(offsets, ", "), data_size));
    }
    tensors_.emplace(
        name, Tensor{*entry.type, checked_shape(path, name, entry), data + static_cast<std::uint64_t>(offsets[0])});
    places.emplace_back(offsets[0], offsets[1], &name);
  }
  std::ranges::sort(places);
  std::int64_t end = 0;
  for (const auto& [first, last, name] : places) {
    if (first != end) {
      reject(path, fmt::format("{} starts at {}, expected {}, where the one before ends", shown(*name), first, end));
    }
    end = last;
  }
  if (end != data_size) reject(path, fmt::format("{} bytes of entries, expected {}", data_size, end));
  metadata_ = std::move(reader.metadata);
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> all;
  for (const auto& [name, tensor] : tensors_) all.push_back(name);
  return all;
}

const SafetensorsFile::Tensor& SafetensorsFile::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw FileError(
        fmt::format("{}: found no tensor {} among its {}", file_->path().string(), shown(name), tensors_.size()));
  }
  return found->second;
}

template <class T>
std::vector<T> SafetensorsFile::read(const std::string& name, const Shape& expected) const {
  const Tensor& tensor = find(name);
  if (tensor.shape != expected) {
    throw FileError(fmt::format("{}: tensor {} has shape {}, expected {}", file_->path().string(), shown(name),
                                tensor.shape.to_string(), expected.to_string()));
  }
  const auto count = static_cast<std::size_t>(tensor.shape.size());
  return visit_entry(tensor.type, [&]<class From>(From) -> std::vector<T> {
    if constexpr (kHolds<T, decltype(value_of(From{}))>) {
      ByteReader bytes(file_, Coding::kStored, tensor.offset, count * sizeof(From));
      std::vector<T> values;
      values.reserve(count);
      std::vector<From> chunk;
      while (values.size() < count) {
        chunk.resize(std::min(count - values.size(), kChunk));
        bytes.read({reinterpret_cast<std::uint8_t*>(chunk.data()), chunk.size() * sizeof(From)});
        for (const From entry : chunk) values.push_back(static_cast<T>(value_of(entry)));
      }
      return values;
    } else {
      throw FileError(fmt::format("{}: tensor {} is of {}, expected a type whose values all fit into {} of {} bits",
                                  file_->path().string(), shown(name), code_of(tensor.type),
                                  std::is_integral_v<T> ? "an integer" : "a floating-point number", 8 * sizeof(T)));
    }
  });
}

Array SafetensorsFile::array(const std::string& name) const {
  const Tensor& tensor = find(name);
  const auto bytes = static_cast<std::uint64_t>(tensor.shape.size()) * item_size(tensor.type);
  return read_array(ByteReader(file_, Coding::kStored, tensor.offset, bytes),
                    {.type = tensor.type, .shape = tensor.shape},
                    fmt::format("{}: tensor {}", file_->path().string(), shown(name)));
}

template std::vector<float> SafetensorsFile::read(const std::string&, const Shape&) const;
template std::vector<double> SafetensorsFile::read(const std::string&, const Shape&) const;
template std::vector<std::int64_t> SafetensorsFile::read(const std::string&, const Shape&) const;

}  // namespace slopewise
