// Memory of the machine, and this process's share of it.
#pragma once

#include <cstdint>

namespace slopewise {

// Bytes that can be had without swapping, as Linux estimates it; 0 where it does not say.
std::int64_t available_memory();

// Throws std::bad_alloc where so many bytes more have no place in this process's address space (`ulimit -v`): for work
// of libraries that end the process, rather than say so, where memory runs out.
void require_room(std::int64_t bytes);

// Bytes of this process that are in memory (VmRSS), and the most that were since restart_peak(), or since it began
// (VmHWM). Throw FileError where Linux does not say.
std::int64_t resident_bytes();
std::int64_t peak_bytes();
// Also gives back what was freed and the allocator still keeps. Throws FileError where that is not allowed.
void restart_peak();

}  // namespace slopewise
