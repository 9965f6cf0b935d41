#include "apps/data/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <set>
#include <string_view>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/data/byte_reader.hpp"

namespace slopewise {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{64} << 10;

// The archive's bytes, unpacked within their limit, as libarchive asks for them.
struct ArchiveBytes {
  explicit ArchiveBytes(const std::filesystem::path& path) : bytes(ByteReader::open(path)), piece(kPieceBytes) {}

  static la_ssize_t next(archive*, void* source, const void** piece) {
    ArchiveBytes& self = *static_cast<ArchiveBytes*>(source);
    try {
      check_interrupted("unpacking");
      *piece = self.piece.data();
      return static_cast<la_ssize_t>(self.bytes.read(self.piece));
    } catch (...) {  // libarchive is C
      self.thrown = std::current_exception();
      return ARCHIVE_FATAL;
    }
  }

  ByteReader bytes;
  std::vector<std::uint8_t> piece;
  std::exception_ptr thrown;
};

class TarReader {
 public:
  explicit TarReader(const std::filesystem::path& path) : path_(path), source_(path), archive_(archive_read_new()) {
    if (!archive_) throw std::bad_alloc();
    archive_read_support_format_tar(archive_.get());
    require(archive_read_open(archive_.get(), &source_, nullptr, &ArchiveBytes::next, nullptr));
  }

  // The next entry; null after the last.
  archive_entry* next() {
    archive_entry* entry = nullptr;
    return require(archive_read_next_header(archive_.get(), &entry)) == ARCHIVE_EOF ? nullptr : entry;
  }
  // Calls write(bytes, count) for the pieces of the entry's content.
  template <class Write>
  void read(Write write) {
    const void* piece = nullptr;
    std::size_t count = 0;
    la_int64_t offset = 0, position = 0;
    while (require(archive_read_data_block(archive_.get(), &piece, &count, &offset)) != ARCHIVE_EOF) {
      // A hole of a sparse file costs an archive nothing and may claim any size.
      if (offset != position) throw FileError(path_.string() + ": expected files without holes in the tar archive");
      write(piece, count);
      position += static_cast<la_int64_t>(count);
    }
  }

 private:
  int require(int result) {
    if (source_.thrown) std::rethrow_exception(source_.thrown);
    if (result == ARCHIVE_OK || result == ARCHIVE_EOF || result == ARCHIVE_WARN) return result;
    const char* why = archive_error_string(archive_.get());
    throw FileError(fmt::format("{}: expected a whole tar archive: {}", path_.string(), why ? why : "it is damaged"));
  }

  struct Free {
    void operator()(archive* reader) const { archive_read_free(reader); }
  };
  const std::filesystem::path& path_;
  ArchiveBytes source_;
  std::unique_ptr<archive, Free> archive_;
};

// After the last slash; empty for what is no regular file.
std::string file_name(archive_entry* entry) {
  const char* path = archive_entry_pathname(entry);
  if (!path || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) return "";
  const std::string_view whole(path);
  return std::string(whole.substr(whole.rfind('/') + 1));  // all of it where there is none
}

}  // namespace

void unpack(const std::filesystem::path& archive, const std::vector<std::string>& names,
            const std::filesystem::path& directory) {
  TarReader reader(archive);
  std::set<std::string> missing(names.begin(), names.end());
  while (archive_entry* const entry = reader.next()) {
    const std::string name = file_name(entry);
    if (!missing.contains(name)) continue;
    AtomicFile file(directory / name);
    reader.read([&](const void* bytes, std::size_t count) { file.write(bytes, count); });
    file.commit();
    missing.erase(name);
  }
  if (!missing.empty()) throw FileError(fmt::format("{}: lacks {}", archive.string(), fmt::join(missing, ", ")));
}

}  // namespace slopewise
