#include "slopewise/data/byte_reader.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;
constexpr std::uint8_t kGzipMagic[] = {0x1F, 0x8B};

}  // namespace

std::uint64_t UnpackLimit::bytes(std::uint64_t packed) const {
  const double scaled = ratio * static_cast<double>(packed);
  return scaled < 0x1p63 ? std::max(least, static_cast<std::uint64_t>(scaled)) : UINT64_MAX;
}

ByteReader ByteReader::open(const std::filesystem::path& path, UnpackLimit limit) {
  const auto file = std::make_shared<const InputFile>(path);
  const std::vector<std::uint8_t> magic = ByteReader(file, Coding::kStored, 0, file->size()).read_up_to(2);
  return ByteReader(file, std::ranges::equal(magic, kGzipMagic) ? Coding::kGzip : Coding::kStored, 0, file->size(),
                    limit);
}

ByteReader::ByteReader(std::shared_ptr<const InputFile> file, Coding coding, std::uint64_t offset, std::uint64_t length,
                       UnpackLimit limit)
    : file_(std::move(file)),
      coding_(coding),
      offset_(offset),
      remaining_(length),
      limit_(limit),
      most_(limit.bytes(length)) {
  if (coding_ == Coding::kStored) return;
  input_.resize(kBufferBytes);
  auto stream = std::make_unique<z_stream>();
  // Window bits as zlib encodes them: 15 + 16 expects a gzip wrapper, −15 bare deflate data.
  if (inflateInit2(stream.get(), coding_ == Coding::kGzip ? 15 + 16 : -15) != Z_OK) {
    throw FileError(fmt::format("{}: cannot start zlib", path()));
  }
  inflate_.reset(stream.release());
}

ByteReader::~ByteReader() = default;
ByteReader::ByteReader(ByteReader&&) noexcept = default;

void ByteReader::EndInflate::operator()(z_stream_s* stream) const {
  inflateEnd(stream);
  delete stream;
}

std::size_t ByteReader::read(std::span<std::uint8_t> out) {
  return coding_ == Coding::kStored ? read_stored(out) : read_inflated(out);
}

std::vector<std::uint8_t> ByteReader::read_up_to(std::uint64_t count) {
  std::vector<std::uint8_t> bytes;
  while (bytes.size() < count) {
    const std::size_t had = bytes.size();
    const std::size_t more =
        static_cast<std::size_t>(std::min<std::uint64_t>(std::max(had, kBufferBytes), count - had));
    bytes.resize(had + more);
    const std::size_t found = read(std::span(bytes).subspan(had));
    if (found < more) {
      bytes.resize(had + found);
      break;
    }
  }
  return bytes;
}

bool ByteReader::at_end() {
  std::uint8_t byte;
  return read({&byte, 1}) == 0;
}

std::size_t ByteReader::read_stored(std::span<std::uint8_t> out) {
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), remaining_));
  file_->read(offset_, out.first(wanted));
  offset_ += wanted;
  remaining_ -= wanted;
  return wanted;
}

std::size_t ByteReader::read_inflated(std::span<std::uint8_t> out) {
  z_stream& stream = *inflate_;
  std::size_t produced = 0;
  while (produced < out.size() && !ended_) {
    if (stream.avail_in == 0) refill();
    const std::size_t room = std::min(out.size() - produced, std::size_t{1} << 30);  // zlib counts in 32 bits
    stream.next_out = out.data() + produced;
    stream.avail_out = static_cast<uInt>(room);
    const int result = inflate(&stream, Z_NO_FLUSH);
    produced += room - stream.avail_out;
    unpacked_ += room - stream.avail_out;
    if (unpacked_ > most_) {
      throw FileError(
          fmt::format("{}: compressed data unpack to more than {} bytes, {:g} times what they take in the file, which "
                      "few real data do; allow more with --unpack-ratio",
                      path(), most_, limit_.ratio));
    }
    if (result == Z_STREAM_END) {
      end_member();
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      throw FileError(fmt::format("{}: the compressed data are corrupt: {}", path(),
                                  stream.msg != nullptr ? stream.msg : "zlib rejects them"));
    } else if (stream.avail_out > 0 && stream.avail_in == 0 && remaining_ == 0) {
      throw FileError(fmt::format("{}: the compressed data end early, after {} bytes", path(), stream.total_out));
    }
  }
  return produced;
}

// Puts the input not yet used at the front of the buffer and fills up behind it.
void ByteReader::refill() {
  z_stream& stream = *inflate_;
  std::copy_n(stream.next_in, stream.avail_in, input_.begin());
  stream.avail_in += static_cast<uInt>(read_stored(std::span(input_).subspan(stream.avail_in)));
  stream.next_in = input_.data();
}

// A gzip file may be several members end to end; anything else after the end does not belong there.
void ByteReader::end_member() {
  z_stream& stream = *inflate_;
  if (stream.avail_in < std::size(kGzipMagic)) refill();
  if (stream.avail_in == 0) {
    ended_ = true;
  } else if (coding_ == Coding::kGzip && stream.avail_in >= std::size(kGzipMagic) &&
             std::equal(std::begin(kGzipMagic), std::end(kGzipMagic), stream.next_in)) {
    inflateReset(&stream);
  } else {
    throw FileError(fmt::format("{}: {} bytes follow the end of the compressed data, expected none", path(),
                                stream.avail_in + remaining_));
  }
}

}  // namespace slopewise
