// NumPy's .npz archives: named arrays, one .npy member each. What is written here numpy.load reads, and what
// numpy.savez and numpy.savez_compressed write is read here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/data/npy.hpp"
#include "slopewise/data/zip.hpp"

namespace slopewise {

// Writes an archive: add arrays, then commit. Nothing is at `path` before. Members are stored uncompressed and without
// time stamps, so equal arrays make equal files. Write failures throw FileError.
class NpzWriter {
 public:
  explicit NpzWriter(const std::filesystem::path& path) : zip_(path) {}

  // Appends an array for T in {float, double, int32, int64, uint8}; values are row-major. Throws ShapeError if their
  // number is not shape.size(), ArgumentError if the name is empty, too long or taken.
  template <class T>
  void add(const std::string& name, const Shape& shape, std::span<const T> values);
  void commit() { zip_.commit(); }

 private:
  ZipWriter zip_;
};

// The arrays of an archive, each read when asked for. A member not called *.npy is no array and is passed over.
class NpzFile {
 public:
  // Reads the list of arrays. Throws FileError if the file cannot be read or is not a whole archive.
  explicit NpzFile(const std::filesystem::path& path, UnpackLimit limit = {}) : zip_(path, limit) {}

  // Sorted, without ".npy".
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return zip_.members().contains(name + ".npy"); }
  // An array's header, and its entries when asked for. Throws FileError if there is no such array, or as NpyReader
  // does.
  NpyReader open(const std::string& name) const;
  Shape shape(const std::string& name) const { return open(name).shape(); }
  // The entries of an array as NpyReader::read gives them, for T in {float, double, int32, int64}. Throws FileError as
  // that does, or if there is no such array or its shape is not `expected`.
  template <class T>
  std::vector<T> read(const std::string& name, const Shape& expected) const;

 private:
  ZipReader zip_;
};

}  // namespace slopewise
