#include "slopewise/base/directory_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <string>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

// The number of the process that holds the lock, as the file says; "" where it does not.
std::string holder(int descriptor) {
  char digits[20];
  const ssize_t count = ::pread(descriptor, digits, sizeof digits, 0);
  std::string number(digits, count > 0 ? static_cast<std::size_t>(count) : 0);
  number.erase(std::ranges::find_if_not(number, [](unsigned char c) { return std::isdigit(c) != 0; }), number.end());
  return number;
}

// Whether the open file is still the one of that name, which its last holder may have removed meanwhile.
bool is_there(int descriptor, const std::filesystem::path& path) {
  struct stat opened = {}, named = {};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

}  // namespace

DirectoryLock::DirectoryLock(const std::filesystem::path& directory) : file_(directory / ".slopewise.lock") {
  for (;;) {
    descriptor_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (descriptor_ < 0)
      throw FileError(fmt::format("{}: cannot create a file in it: {}", directory.string(), std::strerror(errno)));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      const std::string number = holder(descriptor_);
      ::close(descriptor_);
      throw Error(fmt::format("{}: another run{} is writing there; expected a directory of its own for each",
                              directory.string(), number.empty() ? "" : fmt::format(" (process {})", number)));
    }
    if (is_there(descriptor_, file_)) break;
    ::close(descriptor_);
  }
  const std::string number = fmt::format("{}\n", ::getpid());
  // What it says is a courtesy; the lock is held without it.
  [[maybe_unused]] const bool said =
      ::ftruncate(descriptor_, 0) == 0 && ::pwrite(descriptor_, number.data(), number.size(), 0) >= 0;
}

DirectoryLock::~DirectoryLock() {
  ::unlink(file_.c_str());
  ::close(descriptor_);
}

}  // namespace slopewise
