#include "slopewise/dual/derivatives.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"

namespace slopewise::detail {

void check_tangent(std::string_view function, std::size_t point_size, std::size_t tangent_size) {
  if (tangent_size != point_size) {
    throw ArgumentError(fmt::format("{}: tangent v: expected {} entries, as the point x has, found {}", function,
                                    point_size, tangent_size));
  }
}

void check_tangents(std::string_view function, std::size_t point_size, std::size_t tangents_size) {
  if (point_size == 0 || tangents_size == 0 || tangents_size % point_size != 0) {
    throw ArgumentError(fmt::format("{}: tangents: expected K rows of the point's {} entries, K >= 1, found {} entries",
                                    function, point_size, tangents_size));
  }
}

}  // namespace slopewise::detail
