// How deep TOML is nested, before it is parsed: toml++ takes part of the stack for each level, of dotted keys without
// end.
#pragma once

#include <string>
#include <string_view>

namespace slopewise {

// Tables and lists within one another; what is written here has two.
inline constexpr int kMostTomlDepth = 64;

// Throws ArgumentError, in the name of `source`, where the text is nested deeper than kMostTomlDepth. What is no TOML
// is left for the parser to refuse.
void require_shallow_toml(std::string_view text, const std::string& source);

}  // namespace slopewise
