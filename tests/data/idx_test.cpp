#include "slopewise/data/idx.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "support.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class IdxTest : public FileTest {};

// Shape (2, 3, 2), entries 1 … 12.
const Bytes kSmall = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

TEST_F(IdxTest, ReadsPlainAndGzipWhateverTheName) {
  for (const auto& path : {put("plain.gz", kSmall), put("packed", gzip(kSmall))}) {
    const Array array = read_idx(path);
    EXPECT_EQ(array.shape, (Shape{2, 3, 2}));
    EXPECT_EQ(entries(array), std::vector<double>(kSmall.begin() + 16, kSmall.end()));
  }
}

// −2 and 3 as int16, 1.5 and −0.25 as float32 and float64, all big-endian.
TEST_F(IdxTest, ReadsEveryType) {
  EXPECT_THAT(entries(read_idx(put("i1", {0, 0, 9, 1, 0, 0, 0, 2, 0xFE, 3}))), ElementsAre(-2, 3));
  EXPECT_THAT(entries(read_idx(put("i2", {0, 0, 11, 1, 0, 0, 0, 2, 0xFF, 0xFE, 0, 3}))), ElementsAre(-2, 3));
  EXPECT_THAT(entries(read_idx(put("i4", {0, 0, 12, 1, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE}))), ElementsAre(-2));
  EXPECT_THAT(entries(read_idx(put("f4", {0, 0, 13, 1, 0, 0, 0, 2, 0x3F, 0xC0, 0, 0, 0xBE, 0x80, 0, 0}))),
              ElementsAre(1.5, -0.25));
  EXPECT_THAT(entries(read_idx(put("f8", {0, 0, 14, 1, 0, 0, 0, 1, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0}))), ElementsAre(1.5));
}

TEST_F(IdxTest, ReadsGzipOfSeveralMembers) {
  const Bytes first(kSmall.begin(), kSmall.begin() + 9), second(kSmall.begin() + 9, kSmall.end());
  EXPECT_EQ(entries(read_idx(put("f", joined(gzip(first), gzip(second))))).size(), 12u);
}

TEST_F(IdxTest, ReadsMoreThanABufferOfHardlyCompressibleData) {
  RandomStream random(1);
  Bytes bytes = {0, 0, 8, 2, 0, 0, 1, 44, 0, 0, 3, 232};  // (300, 1000)
  for (int i = 0; i < 300'000; ++i) bytes.push_back(static_cast<std::uint8_t>(random()));
  const std::vector<double> expected(bytes.begin() + 12, bytes.end());
  EXPECT_EQ(entries(read_idx(put("plain", bytes))), expected);
  EXPECT_EQ(entries(read_idx(put("packed", gzip(bytes)))), expected);
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
                   const Array array = read_idx(path);
                   EXPECT_EQ(std::ssize(entries(array)), array.shape.size());
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
  EXPECT_THAT(error({0, 0, 10, 1, 0, 0, 0, 0}), HasSubstr("found 0x0a"));
  EXPECT_THAT(error({0, 0, 8, 0, 7}), HasSubstr("rank 0"));
  EXPECT_THAT(error(joined(kSmall, Bytes{0})),
              HasSubstr("expected 12 bytes of entries for shape (2, 3, 2), found more"));
  EXPECT_THAT(error(gzip(joined(kSmall, Bytes{0}))), HasSubstr("found more"));
  EXPECT_THAT(error(joined(gzip(kSmall), Bytes{0})), HasSubstr("1 bytes follow"));
  EXPECT_THAT(error(joined(gzip(kSmall), Bytes{1, 2, 3, 4, 5})), HasSubstr("5 bytes follow"));
  EXPECT_THAT(error({kSmall.begin(), kSmall.end() - 1}),
              HasSubstr("expected 12 bytes of entries for shape (2, 3, 2), found 11"));
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

// 100 MB of zeros in 100 kB are more than the limit, unless more is allowed.
TEST_F(IdxTest, UnpacksNoMoreThanItsLimit) {
  Bytes bomb = {0, 0, 8, 1, 0x06, 0, 0, 0};
  bomb.resize(8 + 0x06000000);
  const auto path = put("bomb", gzip(bomb));
  EXPECT_THAT(file_error([&] { read_idx(path); }), HasSubstr("unpack to more than 67108864 bytes, 100 times"));
  EXPECT_EQ(read_idx(path, {.ratio = 2000}).shape, Shape{0x06000000});
}

TEST_F(IdxTest, WhatHasNoEndIsRefused) {
  const auto pipe = directory_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(file_error([&] { read_idx(pipe); }), HasSubstr("found a pipe"));
  EXPECT_THAT(file_error([] { read_idx("/dev/zero"); }), HasSubstr("found a device"));
}

// Past kHeldBytes entries stay in the file, and are read from there as often as they are asked for.
TEST_F(IdxTest, LargeArraysStayInTheirFile) {
  constexpr Index kRows = 70'000, kRow = 1000;
  const auto path = directory_ / "large";
  {
    std::ofstream file(path, std::ios::binary);
    const Bytes header = {0, 0, 8, 2, 0, 1, 0x11, 0x70, 0, 0, 3, 0xE8};
    file.write(reinterpret_cast<const char*>(header.data()), 12);
    std::string row(kRow, '\0');
    for (Index i = 0; i < kRows; ++i) {
      row[0] = static_cast<char>(i % 251), row[kRow - 1] = static_cast<char>(i % 7);
      file.write(row.data(), kRow);
    }
  }
  const Array array = read_idx(path);
  EXPECT_EQ(array.rows.held_bytes(), 0);
  const std::vector<Index> indices{69'999, 3, 4, 5, 3};
  std::vector<float> rows(indices.size() * kRow);
  array.rows.read<float>(indices, rows);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    EXPECT_EQ(rows[i * kRow], static_cast<float>(indices[i] % 251));
    EXPECT_EQ(rows[i * kRow + kRow - 1], static_cast<float>(indices[i] % 7));
    EXPECT_EQ(rows[i * kRow + 1], 0);
  }
  std::filesystem::resize_file(path, 1000);
  EXPECT_THAT(file_error([&] { array.rows.read<float>(indices, rows); }), HasSubstr("has become shorter"));
}

}  // namespace
}  // namespace slopewise
