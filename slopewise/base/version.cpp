#include "slopewise/base/version.hpp"

namespace slopewise {

const char* version() {
  return SLOPEWISE_VERSION;
}

}  // namespace slopewise
