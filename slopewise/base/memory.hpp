// Memory of the machine.
#pragma once

#include <cstdint>

namespace slopewise {

// Bytes that can be had without swapping, as Linux estimates it; 0 where it does not say.
std::int64_t available_memory();

}  // namespace slopewise
