#include "slopewise/data/zip.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr std::uint32_t kLocalSignature = 0x04034B50;
constexpr std::uint32_t kCentralSignature = 0x02014B50;
constexpr std::uint32_t kEndSignature = 0x06054B50;
constexpr std::uint32_t kEnd64Signature = 0x06064B50;
constexpr std::uint32_t kLocator64Signature = 0x07064B50;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kCentralBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocator64Bytes = 20;

constexpr std::uint32_t kSee64 = 0xFFFFFFFF;  // in a 32-bit field: the number is in the zip64 record
constexpr std::uint16_t kSee64Short = 0xFFFF;
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint16_t kEncrypted = 1;
constexpr std::uint16_t kUtf8Name = 1 << 11;
constexpr std::uint16_t kVersion = 45;                // zip64
constexpr std::uint16_t kMadeBy = 3 << 8 | kVersion;  // Unix, so that the mode below counts
constexpr std::uint32_t kMode = 0100644u << 16;
constexpr std::uint16_t kFirstDay = 1 << 5 | 1;  // 1980-01-01, the earliest date there is
// Deflate packs at most 1032 to 1 (258 bytes in 2 bits); a header that claims more is false.
constexpr std::uint64_t kDeflateRatio = 1032;

// Little-endian numbers, one after the other.
class Packer {
 public:
  Packer& u16(std::uint64_t value) { return put(value, 2); }
  Packer& u32(std::uint64_t value) { return put(value, 4); }
  Packer& u64(std::uint64_t value) { return put(value, 8); }
  Packer& text(const std::string& value) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    return *this;
  }
  std::vector<std::uint8_t> bytes;

 private:
  Packer& put(std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    return *this;
  }
};

std::uint64_t number_at(std::span<const std::uint8_t> bytes, std::size_t offset, int width) {
  std::uint64_t value = 0;
  for (int i = width - 1; i >= 0; --i) value = value << 8 | bytes[offset + i];
  return value;
}
std::uint16_t u16(std::span<const std::uint8_t> bytes, std::size_t offset) {
  return static_cast<std::uint16_t>(number_at(bytes, offset, 2));
}
std::uint32_t u32(std::span<const std::uint8_t> bytes, std::size_t offset) {
  return static_cast<std::uint32_t>(number_at(bytes, offset, 4));
}
std::uint64_t u64(std::span<const std::uint8_t> bytes, std::size_t offset) {
  return number_at(bytes, offset, 8);
}

std::uint32_t narrow(std::uint64_t value) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, kSee64));
}

// The fields that a member's local and central headers share, from flags to unpacked size.
void pack_member(Packer& out, const ZipMember& member, std::uint32_t size) {
  out.u16(kVersion).u16(member.flags).u16(member.method).u16(0).u16(kFirstDay).u32(member.crc).u32(size).u32(size);
}

[[noreturn]] void reject(const std::filesystem::path& path, const std::string& why) {
  throw FileError(fmt::format("{}: not a whole ZIP archive: {}", path.string(), why));
}

// The `count` bytes at `offset`, once they are known to lie in the file.
std::vector<std::uint8_t> read_at(const InputFile& file, std::uint64_t offset, std::uint64_t count) {
  std::vector<std::uint8_t> bytes(count);
  file.read(offset, bytes);
  return bytes;
}

struct Directory {
  std::uint64_t count = 0, size = 0, offset = 0;
};

// The end record is the last thing in the file but for a comment whose length it states.
Directory find_directory(const InputFile& file) {
  const std::filesystem::path& path = file.path();
  const std::uint64_t file_size = file.size();
  const std::uint64_t tail_size = std::min<std::uint64_t>(file_size, kEndBytes + 0xFFFF);
  const auto tail = read_at(file, file_size - tail_size, tail_size);
  if (tail_size < kEndBytes)
    reject(path, fmt::format("{} bytes are fewer than its end record's {}", file_size, kEndBytes));
  std::size_t at = tail.size() - kEndBytes;
  while (u32(tail, at) != kEndSignature || at + kEndBytes + u16(tail, at + 20) != tail.size()) {
    if (at-- == 0) reject(path, fmt::format("no end record in its {} bytes", file_size));
  }
  const std::uint64_t end = file_size - tail_size + at;
  Directory directory{u16(tail, at + 10), u32(tail, at + 12), u32(tail, at + 16)};

  std::uint64_t limit = end;
  if (directory.count == kSee64Short || directory.size == kSee64 || directory.offset == kSee64) {
    if (end < kLocator64Bytes) reject(path, "no room for its zip64 locator");
    const auto locator = read_at(file, end - kLocator64Bytes, kLocator64Bytes);
    // A plain archive may hold just 65,535 members, and then has no locator.
    if (u32(locator, 0) == kLocator64Signature) {
      limit = u64(locator, 8);
      if (limit > end || end - limit < kEnd64Bytes)
        reject(path, fmt::format("its zip64 record is said to be at {}", limit));
      const auto record = read_at(file, limit, kEnd64Bytes);
      if (u32(record, 0) != kEnd64Signature) reject(path, fmt::format("no zip64 record at {}", limit));
      directory = {u64(record, 32), u64(record, 40), u64(record, 48)};
    }
  }
  if (directory.offset > limit || directory.size != limit - directory.offset) {
    reject(path, fmt::format("a directory of {} bytes at {} does not end where its end record starts, at {}",
                             directory.size, directory.offset, limit));
  }
  return directory;
}

// Replaces the fields that said so by their zip64 values, which stand in this order for just those fields.
bool apply_zip64(std::span<const std::uint8_t> extra, ZipMember& member) {
  std::uint64_t* fields[] = {&member.size, &member.packed_size, &member.offset};
  while (extra.size() >= 4) {
    const std::size_t length = u16(extra, 2);
    if (length > extra.size() - 4) return false;
    if (u16(extra, 0) == kZip64Extra) {
      std::span<const std::uint8_t> values = extra.subspan(4, length);
      for (std::uint64_t* field : fields) {
        if (*field != kSee64) continue;
        if (values.size() < 8) return false;
        *field = u64(values, 0);
        values = values.subspan(8);
      }
      return true;
    }
    extra = extra.subspan(4 + length);
  }
  return std::ranges::none_of(fields, [](const std::uint64_t* field) { return *field == kSee64; });
}

}  // namespace

void ZipWriter::add(const std::string& name, std::initializer_list<std::span<const std::byte>> parts) {
  if (name.empty() || name.size() > 0xFFFF || name.find('\0') != std::string::npos) {
    throw ArgumentError(fmt::format("ZipWriter::add: a name of {} bytes, expected 1 to 65535 and no NUL", name.size()));
  }
  if (members_.contains(name)) throw ArgumentError(fmt::format("ZipWriter::add: {} is there already", name));

  ZipMember member{.flags = kUtf8Name, .offset = offset_};
  for (const auto part : parts) {
    if (part.empty()) continue;  // crc32 of a null pointer starts anew
    member.crc =
        static_cast<std::uint32_t>(crc32_z(member.crc, reinterpret_cast<const Bytef*>(part.data()), part.size()));
    member.size += part.size();
  }
  member.packed_size = member.size;

  Packer header;
  const bool zip64 = member.size >= kSee64;
  header.u32(kLocalSignature);
  pack_member(header, member, narrow(member.size));
  header.u16(name.size()).u16(zip64 ? 20 : 0).text(name);
  if (zip64) header.u16(kZip64Extra).u16(16).u64(member.size).u64(member.size);
  write(header.bytes);
  for (const auto part : parts) file_.write(part.data(), part.size());
  offset_ += member.size;
  members_.emplace(name, member);
}

void ZipWriter::commit() {
  const std::uint64_t start = offset_;
  for (const auto& [name, member] : members_) {
    Packer extra;
    if (member.size >= kSee64) extra.u64(member.size).u64(member.size);
    if (member.offset >= kSee64) extra.u64(member.offset);
    const std::size_t extra_size = extra.bytes.size();

    Packer entry;
    entry.u32(kCentralSignature).u16(kMadeBy);
    pack_member(entry, member, narrow(member.size));
    entry.u16(name.size()).u16(extra_size > 0 ? extra_size + 4 : 0).u16(0).u16(0).u16(0).u32(kMode);
    entry.u32(narrow(member.offset)).text(name);
    if (extra_size > 0) entry.u16(kZip64Extra).u16(extra_size);
    write(entry.bytes);
    write(extra.bytes);
  }
  const std::uint64_t end = offset_;
  const std::uint64_t size = end - start;
  const std::uint64_t count = members_.size();
  Packer last;
  if (count >= kSee64Short || size >= kSee64 || start >= kSee64) {
    last.u32(kEnd64Signature).u64(kEnd64Bytes - 12).u16(kMadeBy).u16(kVersion).u32(0).u32(0);
    last.u64(count).u64(count).u64(size).u64(start);
    last.u32(kLocator64Signature).u32(0).u64(end).u32(1);
  }
  const std::uint64_t short_count = std::min<std::uint64_t>(count, kSee64Short);
  last.u32(kEndSignature).u16(0).u16(0).u16(short_count).u16(short_count).u32(narrow(size)).u32(narrow(start)).u16(0);
  write(last.bytes);
  file_.commit();
}

void ZipWriter::write(const std::vector<std::uint8_t>& bytes) {
  file_.write(bytes.data(), bytes.size());
  offset_ += bytes.size();
}

ZipReader::ZipReader(const std::filesystem::path& path, UnpackLimit limit)
    : file_(std::make_shared<const InputFile>(path)), limit_(limit) {
  const Directory directory = find_directory(*file_);
  directory_offset_ = directory.offset;
  const auto bytes = read_at(*file_, directory.offset, directory.size);
  std::span<const std::uint8_t> rest = bytes;
  while (!rest.empty()) {
    if (rest.size() < kCentralBytes || u32(rest, 0) != kCentralSignature) {
      reject(path, fmt::format("no directory entry at {}", directory.offset + (bytes.size() - rest.size())));
    }
    ZipMember member{.flags = u16(rest, 8),
                     .method = u16(rest, 10),
                     .crc = u32(rest, 16),
                     .packed_size = u32(rest, 20),
                     .size = u32(rest, 24),
                     .offset = u32(rest, 42)};
    const std::size_t name_size = u16(rest, 28), extra_size = u16(rest, 30), comment_size = u16(rest, 32);
    rest = rest.subspan(kCentralBytes);
    if (rest.size() < name_size + extra_size + comment_size) reject(path, "its last directory entry is cut short");
    const std::string name(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(name_size));
    if (!apply_zip64(rest.subspan(name_size, extra_size), member)) {
      reject(path, fmt::format("the extra fields of {} are broken", name));
    }
    if (!members_.emplace(name, member).second) reject(path, fmt::format("it holds {} twice", name));
    rest = rest.subspan(name_size + extra_size + comment_size);
  }
  if (members_.size() != directory.count) {
    reject(path, fmt::format("{} directory entries, expected {}", members_.size(), directory.count));
  }
}

ByteReader ZipReader::open(const std::string& name) const {
  const ZipMember& member = members_.at(name);
  if ((member.flags & kEncrypted) != 0 || (member.method != 0 && member.method != Z_DEFLATED)) {
    throw FileError(fmt::format("{}: {} has compression method {}{}, expected 0 (stored) or 8 (deflated)",
                                path().string(), name, member.method,
                                (member.flags & kEncrypted) != 0 ? ", encrypted" : ""));
  }
  if (member.offset > directory_offset_ || directory_offset_ - member.offset < kLocalBytes) {
    reject(path(), fmt::format("{} is said to be at {}, outside the members", name, member.offset));
  }
  const std::uint64_t room = directory_offset_ - member.offset - kLocalBytes;
  const auto header = read_at(*file_, member.offset, kLocalBytes);
  const std::uint64_t name_size = u16(header, 26), extra_size = u16(header, 28);
  if (u32(header, 0) != kLocalSignature || name_size != name.size() || name_size + extra_size > room) {
    reject(path(), fmt::format("{} has no header at {}", name, member.offset));
  }
  const auto local_name = read_at(*file_, member.offset + kLocalBytes, name_size);
  if (!std::ranges::equal(local_name, name, {}, {}, [](char c) { return static_cast<std::uint8_t>(c); })) {
    reject(path(), fmt::format("the header at {} is not that of {}", member.offset, name));
  }
  if (member.packed_size > room - name_size - extra_size) {
    reject(path(), fmt::format("{} claims {} bytes where {} are left", name, member.packed_size,
                               room - name_size - extra_size));
  }
  const bool stored = member.method == 0;
  if (stored ? member.size != member.packed_size : member.size / kDeflateRatio > member.packed_size) {
    reject(path(), fmt::format("{} claims to unpack {} bytes into {}", name, member.packed_size, member.size));
  }
  return ByteReader(file_, stored ? Coding::kStored : Coding::kDeflate,
                    member.offset + kLocalBytes + name_size + extra_size, member.packed_size, limit_);
}

}  // namespace slopewise
