#include "slopewise/base/memory.hpp"

#include <gtest/gtest.h>

#include <new>

namespace slopewise {
namespace {

TEST(Memory, RoomIsThereOrItIsSaid) {
  const std::int64_t before = resident_bytes();
  require_room(std::int64_t{1} << 30);  // and is not taken
  EXPECT_LT(resident_bytes(), before + (std::int64_t{1} << 28));
  EXPECT_THROW(require_room(std::int64_t{1} << 60), std::bad_alloc);
}

}  // namespace
}  // namespace slopewise
