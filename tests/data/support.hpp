// Files to feed to readers, and what must hold when they are damaged.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/data/dataset.hpp"

namespace slopewise {

using Bytes = std::vector<std::uint8_t>;

// A fresh directory for one test, removed with all it holds afterwards.
class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "slopewise.XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed for " + pattern);
    directory_ = pattern;
  }
  ~FileTest() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path put(const std::string& name, const Bytes& bytes) const {
    std::filesystem::create_directories((directory_ / name).parent_path());
    std::ofstream file(directory_ / name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return directory_ / name;
  }

  std::filesystem::path directory_;
};

inline Bytes file_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// All numbers of a set as they are stored, channels last.
inline std::vector<double> stored(const Dataset& set) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(set.count()));
  std::iota(all.begin(), all.end(), 0);
  std::vector<double> numbers(all.size() * static_cast<std::size_t>(set.image_shape.size()));
  gather_stored<double>(set, all, numbers);
  return numbers;
}

// All entries of an array.
inline std::vector<double> entries(const Array& array) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(array.shape[0]));
  std::iota(all.begin(), all.end(), 0);
  std::vector<double> numbers(static_cast<std::size_t>(array.shape.size()));
  array.rows.read<double>(all, numbers);
  return numbers;
}

// The bytes of two containers, end to end.
template <class First, class Second>
Bytes joined(const First& first, const Second& second) {
  Bytes all(first.size() + second.size());
  std::copy(second.begin(), second.end(), std::copy(first.begin(), first.end(), all.begin()));
  return all;
}

inline Bytes gzip(const Bytes& plain) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  Bytes packed(deflateBound(&stream, plain.size()));
  stream.next_in = const_cast<std::uint8_t*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// Runs `read`, which must return or throw FileError; returns the error's message, empty if there was none.
template <class Read>
std::string file_error(Read read) {
  try {
    read();
  } catch (const FileError& error) {
    return error.what();
  }
  return "";
}

// `bytes` with 1 to 3 random bits flipped.
inline Bytes damaged(Bytes bytes, RandomStream& random) {
  for (std::uint32_t flips = 1 + random.below(3); flips > 0; --flips) {
    bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] ^= static_cast<std::uint8_t>(1u << random.below(8));
  }
  return bytes;
}

}  // namespace slopewise
