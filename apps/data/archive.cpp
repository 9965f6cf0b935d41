#include "apps/data/archive.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string_view>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/data/byte_reader.hpp"

namespace slopewise {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kBufferBytes = 128 * kBlock;

// A header block (POSIX ustar): a text of up to 100 bytes, numbers in octal digits, a checksum over all bytes with its
// own field taken for spaces.
class Header {
 public:
  explicit Header(std::span<const std::uint8_t> block) : block_(block) {}

  bool valid() const {
    constexpr std::size_t kSum = 148, kSumBytes = 8;
    const auto field = block_.subspan(kSum, kSumBytes);
    const auto sum = std::accumulate(block_.begin(), block_.end(), std::uint64_t{' '} * kSumBytes) -
                     std::accumulate(field.begin(), field.end(), std::uint64_t{0});
    return number(kSum, kSumBytes) == sum && size();
  }
  // After the last slash.
  std::string_view file_name() const {
    std::string_view path = text(0, 100);
    path.remove_prefix(path.rfind('/') + 1);  // 0 where there is none
    return path;
  }
  std::optional<std::uint64_t> size() const { return number(124, 12); }
  bool regular_file() const { return block_[156] == '0' || block_[156] == '\0'; }

 private:
  std::string_view text(std::size_t first, std::size_t count) const {
    const std::string_view field(reinterpret_cast<const char*>(block_.data()) + first, count);
    return field.substr(0, field.find('\0'));
  }
  std::optional<std::uint64_t> number(std::size_t first, std::size_t count) const {
    std::string_view digits = text(first, count);
    digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
    if (error != std::errc{}) return {};
    return value;
  }

  std::span<const std::uint8_t> block_;
};

}  // namespace

void unpack(const std::filesystem::path& archive, const std::vector<std::string>& names,
            const std::filesystem::path& directory) {
  ByteReader bytes = ByteReader::open(archive);
  std::vector<std::uint8_t> buffer(kBufferBytes);
  std::set<std::string> missing(names.begin(), names.end());
  const auto take = [&](std::size_t count) {
    check_interrupted("unpacking");
    const std::span<std::uint8_t> piece(buffer.data(), count);
    if (bytes.read(piece) < count) throw FileError(archive.string() + ": the tar archive ends early");
    return piece;
  };
  while (true) {
    const auto block = take(kBlock);
    if (std::ranges::all_of(block, [](std::uint8_t byte) { return byte == 0; })) break;  // the end of the archive
    const Header header(block);
    if (!header.valid()) throw FileError(archive.string() + ": expected a header of a tar archive, found other bytes");
    const std::string name(header.file_name());
    std::optional<AtomicFile> file;
    if (header.regular_file() && missing.contains(name)) file.emplace(directory / name);
    for (std::uint64_t left = *header.size(); left > 0;) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, kBufferBytes));
      const auto piece = take((count + kBlock - 1) / kBlock * kBlock);
      if (file) file->write(piece.data(), count);
      left -= count;
    }
    if (!file) continue;
    file->commit();
    missing.erase(name);
  }
  if (!missing.empty()) throw FileError(fmt::format("{}: lacks {}", archive.string(), fmt::join(missing, ", ")));
}

}  // namespace slopewise
