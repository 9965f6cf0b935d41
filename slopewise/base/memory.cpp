#include "slopewise/base/memory.hpp"

#include <fstream>
#include <limits>
#include <string>

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

}  // namespace slopewise
