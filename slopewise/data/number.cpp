#include "slopewise/data/number.hpp"

#include <algorithm>

namespace slopewise {

static_assert(std::endian::native == std::endian::little, "entries are written and read as they lie in memory");

std::size_t item_size(NumberType type) {
  return visit_entry(type, [](auto entry) { return sizeof(entry); });
}

bool is_floating(NumberType type) {
  return type == NumberType::kFloat64 || type == NumberType::kFloat32 || type == NumberType::kFloat16 ||
         type == NumberType::kBfloat16;
}

void to_native_order(NumberType type, ByteOrder order, std::span<std::uint8_t> entries) {
  const std::size_t size = item_size(type);
  if (order == ByteOrder::kLittle || size == 1) return;
  for (auto entry = entries.begin(); entry != entries.end(); entry += static_cast<std::ptrdiff_t>(size))
    std::reverse(entry, entry + static_cast<std::ptrdiff_t>(size));
}

}  // namespace slopewise
