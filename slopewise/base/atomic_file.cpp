#include "slopewise/base/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
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

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// A rename is durable only once the directory is flushed.
void flush_directory_of(const std::filesystem::path& path) {
  const int directory = ::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  ::fsync(directory);
  ::close(directory);
}

constexpr std::string_view kMark = ".slopewise-";
constexpr std::size_t kRandomLetters = 6;

// Whether AtomicFile has called a temporary of `name`, or of any file, so.
bool is_temporary(std::string_view file, std::string_view name) {
  if (file.size() < kMark.size() + kRandomLetters) return false;
  const std::string_view stem = file.substr(0, file.size() - kMark.size() - kRandomLetters);
  return file.substr(stem.size()).starts_with(kMark) && (name.empty() || stem == name);
}

}  // namespace

void remove_leftovers(const std::filesystem::path& directory, std::string_view name) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!is_temporary(entry->path().filename().native(), name)) continue;
    const int descriptor = ::open(entry->path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) continue;
    // Whoever still writes it holds its lock.
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(entry->path().c_str());
    ::close(descriptor);
  }
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  remove_leftovers(directory_of(path_), path_.filename().native());
  struct stat status = {};
  do {  // until a temporary is locked before another process takes it for a leftover
    if (descriptor_ >= 0) ::close(descriptor_);
    temporary_ = fmt::format("{}{}{}", path_.string(), kMark, std::string(kRandomLetters, 'X'));
    descriptor_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
    if (descriptor_ < 0) fail(path_, "create");
    ::flock(descriptor_, LOCK_EX);  // where the file system knows no locks, nobody can take it for a leftover either
  } while (::fstat(descriptor_, &status) == 0 && status.st_nlink == 0);
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
  // Renamed while its lock is held: unlocked, it would be a leftover.
  if (::fsync(descriptor_) != 0) fail(path_, "flush");
  const bool renamed = std::rename(temporary_.c_str(), path_.c_str()) == 0;
  const int reason = errno;
  if (!renamed) ::unlink(temporary_.c_str());
  ::close(descriptor_);
  descriptor_ = -1;
  errno = reason;
  if (!renamed) fail(path_, "write");
  flush_directory_of(path_);
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  const int descriptor = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
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
  remove_leftovers(directory);
  AtomicFile probe(directory / ".slopewise");  // removed at once: never committed
}

}  // namespace slopewise
