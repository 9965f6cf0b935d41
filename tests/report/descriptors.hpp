// Somewhere to write to, and to read back what was written: a pipe, and a terminal of a chosen width.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace slopewise {

class DescriptorPair {
 public:
  ~DescriptorPair() {
    if (writing_ >= 0) ::close(writing_);
    if (reading_ >= 0) ::close(reading_);
  }
  DescriptorPair(const DescriptorPair&) = delete;
  DescriptorPair& operator=(const DescriptorPair&) = delete;

  int writing() const { return writing_; }

  // Waits until `wanted` has been written, and returns all that was written since the last read; fails at the end of
  // the file.
  std::string read_until(const std::string& wanted) {
    std::string text;
    while (text.find(wanted) == std::string::npos) {
      char bytes[4096];
      const ssize_t count = ::read(reading_, bytes, sizeof bytes);
      if (count <= 0) throw std::runtime_error("never written: \"" + wanted + "\"; found: \"" + text + "\"");
      text.append(bytes, static_cast<std::size_t>(count));
    }
    return text;
  }

  // All that was written since the last read; nothing can be written any more.
  std::string read_rest() {
    ::close(writing_);
    writing_ = -1;
    std::string text;
    char bytes[4096];
    for (ssize_t count; (count = ::read(reading_, bytes, sizeof bytes)) > 0;) {
      text.append(bytes, static_cast<std::size_t>(count));
    }
    return text;
  }

 protected:
  DescriptorPair() = default;
  int reading_ = -1;
  int writing_ = -1;
};

class Pipe : public DescriptorPair {
 public:
  Pipe() {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe failed");
    reading_ = ends[0];
    writing_ = ends[1];
  }
};

class PseudoTerminal : public DescriptorPair {
 public:
  explicit PseudoTerminal(unsigned short columns) {
    reading_ = ::posix_openpt(O_RDWR | O_NOCTTY);
    if (reading_ < 0 || ::grantpt(reading_) != 0 || ::unlockpt(reading_) != 0) throw std::runtime_error("no terminal");
    writing_ = ::open(::ptsname(reading_), O_RDWR | O_NOCTTY);
    const winsize size{.ws_row = 25, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    if (::ioctl(writing_, TIOCSWINSZ, &size) != 0) throw std::runtime_error("cannot size the terminal");
  }
};

}  // namespace slopewise
