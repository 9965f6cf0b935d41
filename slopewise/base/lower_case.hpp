// Names without regard to capitals.
#pragma once

#include <string>
#include <string_view>

namespace slopewise {

// With small letters in place of ASCII's capitals; all else as it is, whatever the locale.
inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace slopewise
