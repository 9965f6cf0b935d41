#pragma once

namespace slopewise {

// The library's version, "major.minor.patch".
const char* version();

}  // namespace slopewise
