// Bytes of a file as they arrive, stored or compressed: what every reader of files from elsewhere stands on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "slopewise/data/input_file.hpp"

struct z_stream_s;

namespace slopewise {

enum class Coding { kStored, kGzip, kDeflate };

// Reads part of a file once, from its start to its end, decoding on the way. Memory is a fixed buffer beside
// what the caller asks for. Every function throws FileError if the file cannot be read, if compressed data are corrupt
// or end early, or if bytes follow their end within the part.
class ByteReader {
 public:
  // The whole file, gunzipped if it starts with gzip's magic bytes whatever its name.
  static ByteReader open(const std::filesystem::path& path);
  // The whole file as it is. Throws FileError as InputFile does.
  static ByteReader open_stored(const std::filesystem::path& path);
  // The `length` bytes at `offset`, which the caller has checked against the file's size.
  ByteReader(std::shared_ptr<const InputFile> file, Coding coding, std::uint64_t offset, std::uint64_t length);
  ~ByteReader();
  ByteReader(ByteReader&&) noexcept;

  // Fills `out` from the front and returns how many bytes there were: fewer than asked only at the end.
  std::size_t read(std::span<std::uint8_t> out);
  // At most `count` more bytes, fewer only at the end. The vector grows as data arrive: a false count costs no memory.
  std::vector<std::uint8_t> read_up_to(std::uint64_t count);
  // Bytes of the file, or the part of it, that have not been taken yet, as they lie there.
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
  void end_member();

  const std::filesystem::path& path() const { return file_->path(); }

  std::shared_ptr<const InputFile> file_;
  Coding coding_;
  std::uint64_t offset_, remaining_;  // what has not been taken yet
  bool ended_ = false;                // the compressed stream is complete
  std::vector<std::uint8_t> input_;
  std::unique_ptr<z_stream_s, EndInflate> inflate_;
};

}  // namespace slopewise
