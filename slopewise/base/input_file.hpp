// A file that is opened once and read in any order: what is checked is what is read, whatever becomes of its name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace slopewise {

class InputFile {
 public:
  // Throws FileError unless a regular file is there and can be read: a directory, a pipe or a device, which may have no
  // end, is refused before anything is read of it.
  explicit InputFile(std::filesystem::path path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Bytes when it was opened.
  std::uint64_t size() const { return size_; }
  // Fills `out` with the bytes at `offset`; several threads may. Throws FileError if there are fewer.
  void read(std::uint64_t offset, std::span<std::uint8_t> out) const;

 private:
  std::filesystem::path path_;
  int descriptor_;
  std::uint64_t size_ = 0;
};

// A file's text, read whole. Throws FileError as InputFile does, or for one of more bytes than `most`.
inline constexpr std::uint64_t kMostTextBytes = std::uint64_t{256} << 20;
std::string read_text(const std::filesystem::path& path, std::uint64_t most = kMostTextBytes);

}  // namespace slopewise
