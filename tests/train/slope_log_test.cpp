// The log's format: what is written is read, and nothing that is damaged is believed.
#include "slopewise/train/slope_log.hpp"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "slopewise/base/error.hpp"
#include "tests/data/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class SlopeLogTest : public FileTest {
 protected:
  static SlopeRecord record(int step) {
    const auto x = static_cast<float>(step);
    return {.rate = 0.1f / (1 + x), .answers = {.loss = 2.3f - 0.01f * x, .numbers = {x, -0.1f * x}}};
  }
  // A log of two numbers a step.
  Bytes write(int steps) const {
    {
      SlopeLog log(path_, kHeader, 2);
      for (int step = 0; step < steps; ++step) log.add(record(step));
      EXPECT_EQ(log.steps(), steps);
    }
    return file_bytes(path_);
  }
  // Steps that are read, each compared with what was written.
  Index read(std::string* damage = nullptr) const {
    SlopeLogReader log(path_);
    EXPECT_EQ(log.header(), kHeader);
    while (const auto found = log.next()) {
      const SlopeRecord expected = record(static_cast<int>(log.steps()) - 1);
      EXPECT_EQ(found->rate, expected.rate);
      EXPECT_EQ(found->answers.loss, expected.answers.loss);
      EXPECT_EQ(found->answers.numbers, expected.answers.numbers);
    }
    if (damage) *damage = log.damage();
    return log.steps();
  }

  static constexpr const char* kHeader = "{\"a\": \"header\"}";
  static constexpr std::size_t kHeaderBytes = 8 + 4 + 4 + 4 + 15 + 4, kRecordBytes = 4 * (2 + 3);
  const std::filesystem::path path_ = directory_ / "slopes.log";
};

TEST_F(SlopeLogTest, GivesBackWhatWasPutIn) {
  for (const int steps : {0, 1, 5, 10000}) {
    EXPECT_EQ(write(steps).size(), kHeaderBytes + static_cast<std::size_t>(steps) * kRecordBytes);
    std::string damage = "none said";
    EXPECT_EQ(read(&damage), steps);
    EXPECT_EQ(damage, "");
    EXPECT_EQ(SlopeLogReader(path_).room(), steps);
  }
}

// The document of the format, docs/log.md, byte by byte.
TEST_F(SlopeLogTest, BytesAreThoseOfItsDocument) {
  {
    SlopeLog log(path_, "{}", 1);
    log.add({.rate = 0.5f, .answers = {.loss = 2, .numbers = {-1}}});
  }
  const Bytes header{'S', 'L', 'O', 'P', 'E', 'L', 'O', 'G', 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, '{', '}'};
  const Bytes numbers{0, 0, 0, 0x40, 0, 0, 0, 0x3f, 0, 0, 0x80, 0xbf};
  const auto append = [](Bytes& to, uLong crc) {
    for (int byte = 0; byte < 4; ++byte) to.push_back(static_cast<std::uint8_t>((crc >> (8 * byte)) & 0xff));
  };
  Bytes expected = header;
  const uLong header_crc = crc32(0, header.data(), static_cast<uInt>(header.size()));
  append(expected, header_crc);
  expected.insert(expected.end(), numbers.begin(), numbers.end());
  const Bytes step(8);
  append(expected, crc32(crc32(header_crc, step.data(), 8), numbers.data(), static_cast<uInt>(numbers.size())));
  EXPECT_EQ(file_bytes(path_), expected);
}

TEST_F(SlopeLogTest, FewerNumbersAreFilledUpAndMoreAreRefused) {
  {
    SlopeLog log(path_, kHeader, 2);
    log.add({.rate = 1, .answers = {.loss = 1, .numbers = {3}}});
    EXPECT_THROW(log.add({.rate = 1, .answers = {.loss = 1, .numbers = {1, 2, 3}}}), ArgumentError);
  }
  SlopeLogReader log(path_);
  EXPECT_THAT(log.next()->answers.numbers, testing::ElementsAre(3, 0));
  EXPECT_FALSE(log.next());
}

// What cannot be written is not read either.
TEST_F(SlopeLogTest, MoreNumbersThanARecordMayHaveAreRefused) {
  constexpr std::uint32_t kTooMany = 1u << 31;
  EXPECT_THROW(SlopeLog(path_, kHeader, kTooMany), ArgumentError);
  Bytes bytes = write(0);
  std::memcpy(bytes.data() + 12, &kTooMany, 4);
  const auto crc = static_cast<std::uint32_t>(crc32(0, bytes.data(), static_cast<uInt>(kHeaderBytes - 4)));
  std::memcpy(bytes.data() + kHeaderBytes - 4, &crc, 4);
  put("slopes.log", bytes);
  EXPECT_THAT([&] { SlopeLogReader log(path_); },
              ThrowsMessage<FileError>(HasSubstr("found 2147483648 numbers a step, more than 2147483647")));
}

TEST_F(SlopeLogTest, ADamagedByteEndsTheLogBeforeItsRecord) {
  constexpr int kSteps = 4;
  const Bytes whole = write(kSteps);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int bits : {0x01, 0x80, 0xff}) {
      Bytes damaged = whole;
      damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ bits);
      put("slopes.log", damaged);
      if (at < kHeaderBytes) {
        EXPECT_THAT([&] { SlopeLogReader log(path_); },
                    ThrowsMessage<FileError>(AllOf(HasSubstr("slopes.log"), HasSubstr("expected a log of slopes"))))
            << at;
        continue;
      }
      const std::size_t step = (at - kHeaderBytes) / kRecordBytes;
      std::string damage;
      EXPECT_EQ(read(&damage), static_cast<Index>(step)) << at;
      EXPECT_THAT(damage,
                  AllOf(HasSubstr("slopes.log: a damaged record"),
                        HasSubstr(std::to_string(whole.size() - kHeaderBytes - step * kRecordBytes) + " bytes")));
    }
  }
}

TEST_F(SlopeLogTest, ACutLogEndsAtItsLastWholeRecordAndGoesOnFromThere) {
  constexpr int kSteps = 4;
  const Bytes whole = write(kSteps);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    put("slopes.log", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    if (size < kHeaderBytes) {
      EXPECT_THROW(SlopeLogReader log(path_), FileError) << size;
      continue;
    }
    const std::size_t steps = (size - kHeaderBytes) / kRecordBytes;
    std::string damage;
    EXPECT_EQ(read(&damage), static_cast<Index>(steps)) << size;
    EXPECT_EQ(damage.empty(), (size - kHeaderBytes) % kRecordBytes == 0) << size;
    SlopeLogReader before(path_);
    while (before.next()) {
    }
    {
      SlopeLog log(before);
      EXPECT_EQ(log.steps(), static_cast<Index>(steps));
      for (std::size_t step = steps; step < kSteps; ++step) log.add(record(static_cast<int>(step)));
    }
    EXPECT_EQ(file_bytes(path_), whole) << size;
  }
}

TEST_F(SlopeLogTest, RecordsOfOtherStepsAndLogsAreNotBelieved) {
  const Bytes whole = write(3);
  Bytes swapped = whole;
  std::swap_ranges(swapped.begin() + kHeaderBytes, swapped.begin() + kHeaderBytes + kRecordBytes,
                   swapped.begin() + kHeaderBytes + kRecordBytes);
  put("slopes.log", swapped);
  EXPECT_EQ(read(), 0);
  {
    SlopeLog other(directory_ / "other.log", "{\"a\": \"Header\"}", 2);
    for (int step = 0; step < 3; ++step) other.add(record(step));
  }
  Bytes mixed = file_bytes(directory_ / "other.log");
  std::copy(mixed.begin() + kHeaderBytes, mixed.end(), swapped.begin() + kHeaderBytes);
  put("slopes.log", swapped);
  EXPECT_EQ(read(), 0);
}

TEST_F(SlopeLogTest, HeadersThatClaimMoreThanThereIsAreRefused) {
  const Bytes whole = write(1);
  for (const std::size_t at : {std::size_t{12}, std::size_t{16}}) {
    Bytes hostile = whole;
    std::fill_n(hostile.begin() + static_cast<std::ptrdiff_t>(at), 4, std::uint8_t{0xff});
    put("slopes.log", hostile);
    EXPECT_THROW(SlopeLogReader log(path_), FileError);
  }
  EXPECT_THROW(SlopeLogReader log(directory_), FileError);
  EXPECT_THROW(SlopeLogReader log(directory_ / "nowhere"), FileError);
}

// A file-size limit stands in for a full disk: write(2) first writes short, then fails.
TEST_F(SlopeLogTest, AFullDiskLeavesWholeRecordsAlone) {
  const Bytes whole = write(3);
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  SlopeLog log(path_, kHeader, 2);
  const rlimit limit = {.rlim_cur = kHeaderBytes + 2 * kRecordBytes + 7, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::string message;
  try {
    for (int step = 0; step < 3; ++step) log.add(record(step));
  } catch (const FileError& error) {
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, AllOf(HasSubstr("slopes.log"), HasSubstr("File too large")));
  EXPECT_EQ(file_bytes(path_).size(), kHeaderBytes + 2 * kRecordBytes);
  log.add(record(2));  // once there is room again
  EXPECT_EQ(file_bytes(path_), whole);
}

}  // namespace
}  // namespace slopewise
