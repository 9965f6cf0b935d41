// A file from elsewhere, opened once: whatever takes its place meanwhile, all reads are of the same one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace slopewise {

class InputFile {
 public:
  // Throws FileError if there is no regular file (a directory, a pipe, a device) or it cannot be opened.
  explicit InputFile(std::filesystem::path path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Bytes when it was opened.
  std::uint64_t size() const { return size_; }
  // Fills `out` from `offset` on; safe from several threads at once. Throws FileError if the file cannot be read or
  // ends before.
  void read(std::uint64_t offset, std::span<std::uint8_t> out) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace slopewise
