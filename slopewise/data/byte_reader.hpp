// Bytes of a file as they arrive, stored or compressed: what every reader of files from elsewhere stands on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/input_file.hpp"

struct z_stream_s;

namespace slopewise {

enum class Coding { kStored, kGzip, kDeflate };

// How much compressed data may unpack to, so that a small file cannot fill the memory: `ratio` times its own bytes, or
// `least` where that is more. Deflate itself ends at 1032 times; images and tables seldom reach 20.
struct UnpackLimit {
  double ratio = 100;
  std::uint64_t least = std::uint64_t{64} << 20;

  std::uint64_t bytes(std::uint64_t packed) const;
};

// Reads part of a regular file once, from its start to its end, decoding on the way. Memory is a fixed buffer beside
// what the caller asks for. Every function throws FileError if the file cannot be read, if compressed data are corrupt,
// end early or unpack past their limit, or if bytes follow their end within the part.
class ByteReader {
 public:
  // The whole file, gunzipped if it starts with gzip's magic bytes whatever its name.
  static ByteReader open(const std::filesystem::path& path, UnpackLimit limit = {});
  // The `length` bytes at `offset`, which the caller has checked against the file's size.
  ByteReader(std::shared_ptr<const InputFile> file, Coding coding, std::uint64_t offset, std::uint64_t length,
             UnpackLimit limit = {});
  ~ByteReader();
  ByteReader(ByteReader&&) noexcept;

  // Fills `out` from the front and returns how many bytes there were: fewer than asked only at the end.
  std::size_t read(std::span<std::uint8_t> out);
  // At most `count` more bytes, fewer only at the end. The vector grows as data arrive: a false count costs no memory.
  std::vector<std::uint8_t> read_up_to(std::uint64_t count);
  // The file, and where in it the next byte lies while nothing is decoded.
  const std::shared_ptr<const InputFile>& file() const { return file_; }
  Coding coding() const { return coding_; }
  std::uint64_t offset() const { return offset_; }
  // Bytes of the part that the file has still to give.
  std::uint64_t remaining() const { return remaining_; }
  // True if nothing is left; until then a compressed stream's own checksum has not been verified.
  bool at_end();

 private:
  struct EndInflate {
    void operator()(z_stream_s* stream) const;
  };
  std::size_t read_stored(std::span<std::uint8_t> out);
  std::size_t read_inflated(std::span<std::uint8_t> out);
  void refill();
  std::string path() const { return file_->path().string(); }
  void end_member();

  std::shared_ptr<const InputFile> file_;
  Coding coding_;
  std::uint64_t offset_;     // of the next byte to take from the file
  std::uint64_t remaining_;  // bytes of the part not yet taken from the file
  UnpackLimit limit_;
  std::uint64_t most_;          // bytes that may be unpacked
  std::uint64_t unpacked_ = 0;  // bytes that have been
  bool ended_ = false;          // the compressed stream is complete
  std::vector<std::uint8_t> input_;
  std::unique_ptr<z_stream_s, EndInflate> inflate_;
};

}  // namespace slopewise
