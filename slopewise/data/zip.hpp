// ZIP archives (PKWARE APPNOTE 6.3) as far as NumPy's .npz needs them: one disk, no encryption; members stored or, when
// reading, deflated; zip64 where a number passes 32 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/data/byte_reader.hpp"

namespace slopewise {

struct ZipMember {
  std::uint16_t flags = 0;
  std::uint16_t method = 0;  // 0 stored, 8 deflated
  std::uint32_t crc = 0;
  std::uint64_t packed_size = 0;  // bytes in the file
  std::uint64_t size = 0;         // bytes once unpacked
  std::uint64_t offset = 0;       // of the local header
};

// Writes an archive of stored members with no time stamps, so equal contents make equal files. Nothing is at `path`
// until commit. Write failures throw FileError.
class ZipWriter {
 public:
  explicit ZipWriter(const std::filesystem::path& path) : file_(path) {}
  // Appends a member made of `parts` end to end. Throws ArgumentError for a name that is empty, taken, holds a NUL or
  // has more than 65,535 bytes.
  void add(const std::string& name, std::initializer_list<std::span<const std::byte>> parts);
  void commit();

 private:
  void write(const std::vector<std::uint8_t>& bytes);

  AtomicFile file_;
  std::uint64_t offset_ = 0;
  std::map<std::string, ZipMember> members_;
};

// The members of an archive that someone else may have written. Nothing in it is trusted: every size and offset is
// checked against the file before use.
class ZipReader {
 public:
  // Reads the central directory. Throws FileError if the file is not a whole ZIP archive.
  explicit ZipReader(const std::filesystem::path& path, UnpackLimit limit = {});

  const std::filesystem::path& path() const { return file_->path(); }
  const std::map<std::string, ZipMember>& members() const { return members_; }
  // A reader of a member's unpacked bytes; checking their number and CRC-32 is left to the caller, who sees them go by.
  // Throws FileError for an unknown compression method or headers that contradict each other or the file.
  ByteReader open(const std::string& name) const;

 private:
  std::shared_ptr<const InputFile> file_;
  UnpackLimit limit_;
  std::uint64_t directory_offset_ = 0;
  std::map<std::string, ZipMember> members_;
};

}  // namespace slopewise
