// JSON that others may have written.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace slopewise {

// Brackets within brackets: what is written here has at most 8, and each takes part of the stack wherever a document is
// copied or written.
inline constexpr int kMostJsonDepth = 64;

// The document, or one that is discarded (`is_discarded()`) where the text is not JSON. Throws FileError, in the name
// of `source`, where it is nested deeper than kMostJsonDepth.
nlohmann::ordered_json parse_json(std::string_view text, const std::string& source);

}  // namespace slopewise
