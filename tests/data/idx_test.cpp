#include "slopewise/data/idx.hpp"

#include <gmock/gmock.h>

#include "support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;

class IdxTest : public FileTest {};

// Shape (2, 3, 2), entries 1 … 12.
const Bytes kSmall = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

TEST_F(IdxTest, ReadsPlainAndGzipWhateverTheName) {
  for (const auto& path : {put("plain.gz", kSmall), put("packed", gzip(kSmall))}) {
    const ByteArray array = read_idx(path);
    EXPECT_EQ(array.shape, (Shape{2, 3, 2}));
    EXPECT_EQ(array.bytes, Bytes(kSmall.begin() + 16, kSmall.end()));
  }
}

TEST_F(IdxTest, ReadsGzipOfSeveralMembers) {
  const Bytes first(kSmall.begin(), kSmall.begin() + 9), second(kSmall.begin() + 9, kSmall.end());
  EXPECT_EQ(read_idx(put("f", joined(gzip(first), gzip(second)))).bytes.size(), 12u);
}

TEST_F(IdxTest, ReadsMoreThanABufferOfHardlyCompressibleData) {
  RandomStream random(1);
  Bytes bytes = {0, 0, 8, 2, 0, 0, 1, 44, 0, 0, 3, 232};  // (300, 1000)
  for (int i = 0; i < 300'000; ++i) bytes.push_back(static_cast<std::uint8_t>(random()));
  const Bytes entries(bytes.begin() + 12, bytes.end());
  EXPECT_EQ(read_idx(put("plain", bytes)).bytes, entries);
  EXPECT_EQ(read_idx(put("packed", gzip(bytes))).bytes, entries);
}

TEST_F(IdxTest, EveryTruncationIsAnError) {
  for (const Bytes& whole : {kSmall, gzip(kSmall)}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const auto path = put("f", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
      EXPECT_THAT(file_error([&] { read_idx(path); }), HasSubstr(path.string())) << length << " of " << whole.size();
    }
  }
}

TEST_F(IdxTest, FlippedBitsAreAnErrorOrData) {
  RandomStream random(2);
  int errors = 0;
  for (const Bytes& whole : {kSmall, gzip(kSmall)}) {
    for (int i = 0; i < 2000; ++i) {
      const auto path = put("f", damaged(whole, random));
      errors += !file_error([&] {
                   const ByteArray array = read_idx(path);
                   EXPECT_EQ(std::ssize(array.bytes), array.shape.size());
                 }).empty();
    }
  }
  EXPECT_GT(errors, 1000);
}

TEST_F(IdxTest, SaysWhatItFoundAndExpected) {
  const auto error = [&](const Bytes& bytes) {
    const auto path = put("f", bytes);
    return file_error([&] { read_idx(path); });
  };
  EXPECT_THAT(error({}), HasSubstr("expected 4 more bytes of IDX header, found 0"));
  EXPECT_THAT(error({1, 0, 8, 1, 0, 0, 0, 0}), HasSubstr("found 01 00"));
  EXPECT_THAT(error({0, 0, 13, 1, 0, 0, 0, 0}), HasSubstr("0x0d (float32)"));
  EXPECT_THAT(error({0, 0, 8, 0, 7}), HasSubstr("rank 0"));
  EXPECT_THAT(error(joined(kSmall, Bytes{0})),
              HasSubstr("expected 12 bytes after the IDX header for shape (2, 3, 2), found more"));
  EXPECT_THAT(error(gzip(joined(kSmall, Bytes{0}))), HasSubstr("found more"));
  EXPECT_THAT(error(joined(gzip(kSmall), Bytes{0})), HasSubstr("1 bytes follow"));
  EXPECT_THAT(error(joined(gzip(kSmall), Bytes{1, 2, 3, 4, 5})), HasSubstr("5 bytes follow"));
  EXPECT_THAT(error({kSmall.begin(), kSmall.end() - 1}),
              HasSubstr("expected 12 bytes after the IDX header for shape (2, 3, 2), found 11"));
  EXPECT_THAT(file_error([&] { read_idx(directory_); }), HasSubstr("found a directory"));
  EXPECT_THAT(file_error([&] { read_idx(directory_ / "none"); }), HasSubstr("found nothing there"));
}

// 2^62 entries fail for want of data, 2^96 for want of numbers; neither may allocate what it claims.
TEST_F(IdxTest, BelievesNoClaimedSize) {
  const auto claim = [&](std::uint8_t high, int rank) {
    Bytes bytes = {0, 0, 8, static_cast<std::uint8_t>(rank)};
    for (int axis = 0; axis < rank; ++axis) bytes.insert(bytes.end(), {high, 0, 0, 0});
    bytes.resize(bytes.size() + 100);
    return bytes;
  };
  for (const Bytes& bytes : {claim(0x80, 2), gzip(claim(0x80, 2)), claim(0xFF, 3), claim(0xFF, 255)}) {
    const auto path = put("f", bytes);
    EXPECT_THAT(file_error([&] { read_idx(path); }), HasSubstr(path.string()));
  }
}

// 64 MiB of zeros, cut short at the end, behind a header that claims 12 bytes. A reader that stops at the thirteenth
// sees that there is more, one that inflates it all sees the cut.
TEST_F(IdxTest, StopsAtAGzipBomb) {
  Bytes bomb = kSmall;
  bomb.resize(std::size_t{64} << 20);
  Bytes packed = gzip(bomb);
  packed.resize(packed.size() - 20);
  const auto path = put("bomb", packed);
  EXPECT_THAT(file_error([&] { read_idx(path); }), HasSubstr("found more"));
}

}  // namespace
}  // namespace slopewise
