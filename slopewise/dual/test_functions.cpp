#include "slopewise/dual/test_functions.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"

namespace slopewise::detail {

void check_dimension(std::string_view function, std::size_t size, std::size_t expected) {
  if (size != expected) {
    throw ArgumentError(fmt::format("{}: point: expected {} entries, found {}", function, expected, size));
  }
}

void check_least_dimension(std::string_view function, std::size_t size, std::size_t least) {
  if (size < least) {
    throw ArgumentError(fmt::format("{}: point: expected at least {} entries, found {}", function, least, size));
  }
}

}  // namespace slopewise::detail
