#include "slopewise/base/memory.hpp"

#include <malloc.h>
#include <sys/mman.h>

#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <string_view>

#include "slopewise/base/error.hpp"

namespace slopewise {

std::int64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  for (std::string field; file >> field;) {
    std::int64_t kilobytes = 0;
    if (field == "MemAvailable:" && file >> kilobytes) return 1024 * kilobytes;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

void require_room(std::int64_t bytes) {
  void* const place =
      ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) throw std::bad_alloc();
  ::munmap(place, static_cast<std::size_t>(bytes));
}

namespace {

// A field of /proc/self/status that is given in kB, in bytes.
std::int64_t status(std::string_view field) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field) && line[field.size()] == ':') return 1024 * std::stoll(line.substr(field.size() + 1));
  }
  throw FileError("/proc/self/status: expected a line " + std::string(field) + ", found none");
}

}  // namespace

std::int64_t resident_bytes() {
  return status("VmRSS");
}

std::int64_t peak_bytes() {
  return status("VmHWM");
}

void restart_peak() {
  ::malloc_trim(0);
  // proc(5), clear_refs: from here on VmHWM is the peak since this call.
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  if (!file) throw FileError("/proc/self/clear_refs: cannot write, so peaks of memory cannot be measured");
}

}  // namespace slopewise
