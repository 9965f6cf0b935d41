// The header of NumPy's .npy format (NEP 1, numpy.lib.format): magic, version, length, and a Python dict literal.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>

#include "slopewise/base/shape.hpp"
#include "slopewise/data/byte_reader.hpp"

namespace slopewise {

// Entry types that are read and written, all little-endian.
enum class NpyType { kFloat32, kFloat64, kInt32, kInt64, kUint8 };

std::size_t item_size(NpyType type);

template <class T>
constexpr NpyType npy_type() {
  if constexpr (std::same_as<T, float>) return NpyType::kFloat32;
  if constexpr (std::same_as<T, double>) return NpyType::kFloat64;
  if constexpr (std::same_as<T, std::int32_t>) return NpyType::kInt32;
  if constexpr (std::same_as<T, std::int64_t>) return NpyType::kInt64;
  if constexpr (std::same_as<T, std::uint8_t>) return NpyType::kUint8;
}

struct NpyHeader {
  NpyType type;
  Shape shape;
};

// The bytes that come before the entries, a multiple of 64 of them. Throws ShapeError past NumPy's limit of 32 axes.
std::string format_npy_header(const NpyHeader& header);

// Reads a header and leaves `reader` at the first entry; appends what it read to `raw`. `where` names the array in
// errors. Throws FileError for a header of another form or version, big-endian or other entry types, and Fortran order
// of two or more axes.
NpyHeader read_npy_header(ByteReader& reader, const std::string& where, std::vector<std::uint8_t>& raw);

}  // namespace slopewise
