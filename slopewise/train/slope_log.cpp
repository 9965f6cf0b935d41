#include "slopewise/train/slope_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

static_assert(std::endian::native == std::endian::little, "files hold little-endian numbers");

constexpr std::string_view kMagic = "SLOPELOG";
constexpr std::uint32_t kVersion = 1;
// Magic, version, numbers a record, bytes of the text; then the text and a checksum.
constexpr std::uint64_t kFixed = 8 + 4 + 4 + 4;
constexpr std::uint32_t kMostHeader = 64 << 20;
constexpr Index kMostNumbers = std::numeric_limits<std::int32_t>::max();  // of a record
// Seconds between flushes to the disk.
constexpr double kFlushEvery = 1;
// Bytes read ahead, at least one record.
constexpr std::uint64_t kAhead = 1 << 16;

std::uint64_t record_bytes(Index numbers) {
  return 4 * (static_cast<std::uint64_t>(numbers) + 3);
}

template <class T>
void put(std::vector<std::uint8_t>& bytes, const T& value) {
  const auto* from = reinterpret_cast<const std::uint8_t*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof value);
}
template <class T>
T get(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

std::uint32_t checksum(std::span<const std::uint8_t> bytes, std::uint32_t before = 0) {
  return static_cast<std::uint32_t>(crc32_z(before, bytes.data(), bytes.size()));
}
// A record's checksum goes on from the header's and the step's, so that no record is taken for another's.
std::uint32_t record_checksum(std::uint32_t header, Index step, std::span<const std::uint8_t> bytes) {
  const auto number = static_cast<std::uint64_t>(step);
  const auto* first = reinterpret_cast<const std::uint8_t*>(&number);
  return checksum(bytes, checksum({first, sizeof number}, header));
}

std::vector<std::uint8_t> header_bytes(const std::string& text, Index numbers) {
  std::vector<std::uint8_t> bytes(kMagic.begin(), kMagic.end());
  put(bytes, kVersion);
  put(bytes, static_cast<std::uint32_t>(numbers));
  put(bytes, static_cast<std::uint32_t>(text.size()));
  bytes.insert(bytes.end(), text.begin(), text.end());
  put(bytes, checksum(bytes));
  return bytes;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

SlopeLogReader::SlopeLogReader(const std::filesystem::path& path) : file_(path) {
  const auto refuse = [&](const std::string& what) {
    throw FileError(fmt::format("{}: expected a log of slopes, found {}", path.string(), what));
  };
  if (file_.size() < kFixed + 4) refuse(fmt::format("a file of {} bytes", file_.size()));
  std::vector<std::uint8_t> bytes(kFixed);
  file_.read(0, bytes);
  if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) refuse("a file that begins otherwise");
  const auto version = get<std::uint32_t>(bytes.data() + 8);
  if (version != kVersion) refuse(fmt::format("one of version {}, where {} is known", version, kVersion));
  numbers_ = get<std::uint32_t>(bytes.data() + 12);
  if (numbers_ > kMostNumbers) refuse(fmt::format("{} numbers a step, more than {}", numbers_, kMostNumbers));
  const auto text = get<std::uint32_t>(bytes.data() + 16);
  if (text > kMostHeader || kFixed + text + 4 > file_.size())
    refuse(fmt::format("a header of {} bytes in a file of {}", text, file_.size()));
  bytes.resize(kFixed + text + 4);
  file_.read(0, bytes);
  checksum_ = get<std::uint32_t>(bytes.data() + kFixed + text);
  const std::uint32_t found = checksum(std::span(bytes).first(kFixed + text));
  if (found != checksum_) refuse(fmt::format("a damaged header: its checksum is {:08x}, not {:08x}", found, checksum_));
  header_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(kFixed), bytes.end() - 4);
  end_ = bytes.size();
}

Index SlopeLogReader::room() const {
  return steps_ + static_cast<Index>((file_.size() - end_) / record_bytes(numbers_));
}

std::optional<SlopeRecord> SlopeLogReader::next() {
  const std::uint64_t size = record_bytes(numbers_), left = file_.size() - end_;
  if (!damage_.empty() || left == 0) return std::nullopt;
  const auto ends_here = [&](const std::string& why) {
    damage_ = fmt::format("{}: {} after the record of step {}; the log ends there, {} bytes before the end of the file",
                          path().string(), why, steps_, left);
    return std::nullopt;
  };
  if (left < size) return ends_here(fmt::format("a part of a record, {} of {} bytes,", left, size));
  if (end_ < buffered_ || end_ + size > buffered_ + buffer_.size()) {
    buffer_.resize(static_cast<std::size_t>(std::min(left, std::max(size, kAhead))));
    buffered_ = end_;
    file_.read(end_, buffer_);
  }
  const std::uint8_t* from = buffer_.data() + (end_ - buffered_);
  if (get<std::uint32_t>(from + size - 4) !=
      record_checksum(checksum_, steps_, {from, static_cast<std::size_t>(size - 4)}))
    return ends_here("a damaged record");
  SlopeRecord record{.rate = get<float>(from + 4), .answers = {.loss = get<float>(from), .numbers = {}}};
  record.answers.numbers.resize(static_cast<std::size_t>(numbers_));
  if (numbers_ > 0) std::memcpy(record.answers.numbers.data(), from + 8, 4 * static_cast<std::size_t>(numbers_));
  end_ += size;
  ++steps_;
  return record;
}

SlopeLog::SlopeLog(const std::filesystem::path& path, const std::string& header, Index numbers)
    : path_(path), numbers_(numbers) {
  if (numbers < 0 || numbers > kMostNumbers || header.size() > kMostHeader) {
    throw ArgumentError(
        fmt::format("log of slopes: expected up to {} numbers a step and a header of up to {} bytes, "
                    "found {} and {}",
                    kMostNumbers, kMostHeader, numbers, header.size()));
  }
  const std::vector<std::uint8_t> bytes = header_bytes(header, numbers);
  checksum_ = get<std::uint32_t>(bytes.data() + bytes.size() - 4);
  end_ = bytes.size();
  AtomicFile file(path_);
  file.write(bytes.data(), bytes.size());
  file.commit();
  open(false);
}

SlopeLog::SlopeLog(const SlopeLogReader& read)
    : path_(read.path()), checksum_(read.checksum_), numbers_(read.numbers()), steps_(read.steps()), end_(read.end()) {
  open(end_ < read.file_.size());
}

void SlopeLog::open(bool cut) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor_ < 0 || (cut && ::ftruncate(descriptor_, static_cast<off_t>(end_)) != 0)) {
    const int reason = errno;
    if (descriptor_ >= 0) ::close(descriptor_);
    throw FileError(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(reason)));
  }
  flushed_ = now();
}

SlopeLog::~SlopeLog() {
  ::fdatasync(descriptor_);
  ::close(descriptor_);
}

void SlopeLog::add(const SlopeRecord& record) {
  const std::vector<float>& numbers = record.answers.numbers;
  if (std::ssize(numbers) > numbers_)
    throw ArgumentError(fmt::format("log of slopes: expected at most {} numbers, found {}", numbers_, numbers.size()));
  bytes_.clear();
  put(bytes_, record.answers.loss);
  put(bytes_, record.rate);
  for (const float number : numbers) put(bytes_, number);
  bytes_.resize(static_cast<std::size_t>(record_bytes(numbers_)) - 4);
  put(bytes_, record_checksum(checksum_, steps_, bytes_));
  for (std::size_t written = 0; written < bytes_.size();) {
    const ssize_t count =
        ::pwrite(descriptor_, bytes_.data() + written, bytes_.size() - written, static_cast<off_t>(end_ + written));
    if (count >= 0) {
      written += static_cast<std::size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    const int reason = errno;
    // A part that stays behind is cut by whoever reads the log.
    [[maybe_unused]] const int cut = ::ftruncate(descriptor_, static_cast<off_t>(end_));
    throw FileError(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(reason)));
  }
  end_ += bytes_.size();
  ++steps_;
  if (now() - flushed_ > kFlushEvery) flush();
}

void SlopeLog::flush() {
  if (::fdatasync(descriptor_) != 0)
    throw FileError(fmt::format("{}: cannot flush: {}", path_.string(), std::strerror(errno)));
  flushed_ = now();
}

}  // namespace slopewise
