// Files that travel in the program: what report.html is made of.
#pragma once

#include <span>
#include <string_view>

namespace slopewise {

struct Resource {
  std::string_view name;  // "charts/prior.vl.json", below slopewise/report
  std::string_view text;
};

// All of them, charts in the order of slopewise/report/CMakeLists.txt.
std::span<const Resource> resources();

// The text of one. "web/vega.js" is empty where the program was built without npm. Throws std::logic_error for a name
// that is not there.
std::string_view resource(std::string_view name);

}  // namespace slopewise
