#include "slopewise/base/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* action) {
  throw FileError(fmt::format("{}: cannot {}: {}", path.string(), action, std::strerror(errno)));
}

// A rename is durable only once the directory is flushed.
void flush_directory_of(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY);
  if (directory < 0) return;
  ::fsync(directory);
  ::close(directory);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_.string() + ".XXXXXX") {
  descriptor_ = ::mkstemp(temporary_.data());
  if (descriptor_ < 0) fail(path_, "create");
  ::fchmod(descriptor_, 0644);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* bytes, std::size_t count) {
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(descriptor_, next, count);
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(path_, "write");
    }
    next += written;
    count -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail(path_, "flush");
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary_.c_str());
    errno = reason;
    fail(path_, "write");
  }
  flush_directory_of(path_);
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  const int descriptor = ::open(from.c_str(), O_RDONLY);
  if (descriptor < 0) fail(from, "open");
  const bool flushed = ::fsync(descriptor) == 0;
  const int reason = errno;
  ::close(descriptor);
  errno = reason;
  if (!flushed) fail(from, "flush");
  if (std::rename(from.c_str(), to.c_str()) != 0) fail(to, "write");
  flush_directory_of(to);
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void ensure_writable_directory(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw FileError(fmt::format("{}: cannot create the directory: {}", directory.string(), error.message()));
  if (!std::filesystem::is_directory(directory)) {
    throw FileError(fmt::format("{}: expected a directory, found a file", directory.string()));
  }
  AtomicFile probe(directory / ".slopewise");  // removed at once: never committed
}

}  // namespace slopewise
