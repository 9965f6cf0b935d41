#include "slopewise/base/input_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "slopewise/base/error.hpp"

namespace slopewise {

InputFile::InputFile(std::filesystem::path path) : path_(std::move(path)) {
  const auto fail = [&](const std::string& why) {
    if (descriptor_ >= 0) ::close(descriptor_);
    throw FileError(fmt::format("{}: {}", path_.string(), why));
  };
  // Without O_NONBLOCK the open of a pipe waits for a writer.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (descriptor_ < 0 && errno == ENOENT) fail("expected a file, found nothing there");
  if (descriptor_ < 0) fail(fmt::format("cannot open: {}", std::strerror(errno)));
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail(fmt::format("cannot read: {}", std::strerror(errno)));
  if (S_ISDIR(status.st_mode)) fail("expected a file, found a directory");
  if (!S_ISREG(status.st_mode)) {
    fail(fmt::format("expected a file, found a {}, which may have no end", S_ISFIFO(status.st_mode)   ? "pipe"
                                                                           : S_ISSOCK(status.st_mode) ? "socket"
                                                                                                      : "device"));
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw FileError(fmt::format("{}: cannot read: {}", path_.string(), std::strerror(errno)));
    if (count == 0) {
      throw FileError(fmt::format("{}: cannot read: {} of {} bytes came: the file has become shorter", path_.string(),
                                  done, out.size()));
    }
    done += static_cast<std::size_t>(count);
  }
}

std::string read_text(const std::filesystem::path& path, std::uint64_t most) {
  const InputFile file(path);
  if (file.size() > most)
    throw FileError(fmt::format("{}: {} bytes, expected {} at most", path.string(), file.size(), most));
  std::string text(file.size(), '\0');
  file.read(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return text;
}

}  // namespace slopewise
