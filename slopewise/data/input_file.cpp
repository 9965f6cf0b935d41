#include "slopewise/data/input_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

InputFile::InputFile(std::filesystem::path path) : path_(std::move(path)) {
  // Without O_NONBLOCK a pipe would be waited for here, before it is known to be one.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor_ < 0) {
    if (errno == ENOENT) throw FileError(fmt::format("{}: expected a file, found nothing there", path_.string()));
    throw FileError(fmt::format("{}: cannot open: {}", path_.string(), std::strerror(errno)));
  }
  struct stat status = {};
  const int failed = ::fstat(descriptor_, &status);
  if (failed == 0 && S_ISREG(status.st_mode)) {
    size_ = static_cast<std::uint64_t>(status.st_size);
    return;
  }
  const std::string problem = failed != 0 ? fmt::format("cannot read: {}", std::strerror(errno))
                                          : fmt::format("expected a file, found {}", kind_of(status.st_mode));
  ::close(descriptor_);
  throw FileError(fmt::format("{}: {}", path_.string(), problem));
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  std::size_t found = 0;
  while (found < out.size()) {
    const ssize_t count =
        ::pread(descriptor_, out.data() + found, out.size() - found, static_cast<off_t>(offset + found));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw FileError(fmt::format("{}: cannot read: {}", path_.string(), std::strerror(errno)));
    if (count == 0) {
      throw FileError(fmt::format("{}: cannot read: {} of {} bytes came", path_.string(), found, out.size()));
    }
    found += static_cast<std::size_t>(count);
  }
}

}  // namespace slopewise
