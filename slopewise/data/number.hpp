// Numbers as files store them: their types, and what each entry is worth.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace slopewise {

enum class NumberType {
  kFloat64,
  kFloat32,
  kFloat16,
  kBfloat16,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUint64,
  kUint32,
  kUint16,
  kUint8,
  kBool
};

enum class ByteOrder { kLittle, kBig };

std::size_t item_size(NumberType type);
bool is_floating(NumberType type);

// Entries that no C++20 type stands for, with the value of each.
struct StoredFloat16 {
  std::uint16_t bits;
  float value() const {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits >> 15) << 31;
    const std::uint32_t exponent = bits >> 10 & 31u, mantissa = bits & 1023u;
    if (exponent == 0) return (sign != 0 ? -0x1p-24f : 0x1p-24f) * static_cast<float>(mantissa);
    return std::bit_cast<float>(sign | (exponent == 31 ? 255 : exponent + 127 - 15) << 23 | mantissa << 13);
  }
};
struct StoredBfloat16 {
  std::uint16_t bits;
  float value() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};
struct StoredBool {
  std::uint8_t byte;
  std::uint8_t value() const { return byte != 0; }
};

template <class Entry>
auto value_of(Entry entry) {
  if constexpr (std::is_arithmetic_v<Entry>) {
    return entry;
  } else {
    return entry.value();
  }
}

// Calls `visitor` with an entry of the type.
template <class Visitor>
auto visit_entry(NumberType type, Visitor visitor) {
  switch (type) {
    case NumberType::kFloat64:
      return visitor(double{});
    case NumberType::kFloat32:
      return visitor(float{});
    case NumberType::kFloat16:
      return visitor(StoredFloat16{});
    case NumberType::kBfloat16:
      return visitor(StoredBfloat16{});
    case NumberType::kInt64:
      return visitor(std::int64_t{});
    case NumberType::kInt32:
      return visitor(std::int32_t{});
    case NumberType::kInt16:
      return visitor(std::int16_t{});
    case NumberType::kInt8:
      return visitor(std::int8_t{});
    case NumberType::kUint64:
      return visitor(std::uint64_t{});
    case NumberType::kUint32:
      return visitor(std::uint32_t{});
    case NumberType::kUint16:
      return visitor(std::uint16_t{});
    case NumberType::kUint8:
      return visitor(std::uint8_t{});
    case NumberType::kBool:
      break;
  }
  return visitor(StoredBool{});
}

// The type of a C++ number.
template <class T>
constexpr NumberType number_type() {
  if constexpr (std::is_same_v<T, double>) return NumberType::kFloat64;
  if constexpr (std::is_same_v<T, float>) return NumberType::kFloat32;
  if constexpr (std::is_same_v<T, std::int64_t>) return NumberType::kInt64;
  if constexpr (std::is_same_v<T, std::int32_t>) return NumberType::kInt32;
  if constexpr (std::is_same_v<T, std::uint8_t>) return NumberType::kUint8;
}

// Turns entries of that order around, where they lie, into this processor's.
void to_native_order(NumberType type, ByteOrder order, std::span<std::uint8_t> entries);

}  // namespace slopewise
