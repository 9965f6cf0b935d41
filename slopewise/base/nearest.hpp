// What somebody who mistyped a name may have meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace slopewise {

// "; did you mean gaussian?", the end of a message that refuses `word`, or "" where none of the names is near: a third
// of the letters may be wrong, or one, but not all. Letters are inserted, deleted, replaced, or swapped with a
// neighbour (optimal string alignment).
std::string suggestion(std::string_view word, std::span<const std::string> names);

}  // namespace slopewise
