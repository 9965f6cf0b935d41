// What somebody who mistyped a name may have meant.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace slopewise {

// The one name that begins with `word`, of two letters or more, or differs from it in capitals alone, or else the
// nearest, if one is near: a quarter of three letters or more may be wrong, or one. Letters are inserted, deleted,
// replaced, or swapped with a neighbour (optimal string alignment).
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> names);
// "; did you mean gaussian?", the end of a message that refuses `word`, or "" where none is near.
std::string suggestion(std::string_view word, std::span<const std::string> names);

}  // namespace slopewise
