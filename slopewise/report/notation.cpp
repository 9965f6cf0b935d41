#include "slopewise/report/notation.hpp"

#include <algorithm>
#include <array>
#include <regex>
#include <utility>

namespace slopewise {

std::string notation(std::string_view text) {
  // In this order: what is longer comes first. ∇ₘ is the gradient of a mini-batch.
  static const std::array<std::pair<std::regex, const char*>, 13> rules{{
      {std::regex(R"(\|grad_B\|)"), "‖∇ₘ‖"},
      {std::regex(R"(\|grad\|)"), "‖∇‖"},
      {std::regex(R"(\|g\|)"), "‖g‖"},
      {std::regex(R"(\bgrad\b)"), "∇"},
      {std::regex("∇_B"), "∇ₘ"},
      {std::regex(R"((\bg|∇)_i\b)"), "$1ᵢ"},
      {std::regex(R"((\bg|∇)_l\b)"), "$1ₗ"},
      {std::regex(R"(\bsnr\b)"), "SNR"},
      {std::regex(R"(\bsqrt )"), "√"},
      {std::regex(R"(\^2)"), "²"},
      {std::regex(R"((\d)e([-+]?)0*(\d+)\b)"), "$1e$2$3"},
      {std::regex(R"((\d)e\+)"), "$1e"},
      // A sign, not a hyphen or a range: nothing, a bracket, a space or an exponent's e is before it.
      {std::regex(R"((^|[\s(\[/=]|\de)-(?=[\d.]|inf\b))"), "$1−"},
  }};
  std::string result(text);
  for (const auto& [what, with] : rules) result = std::regex_replace(result, what, with);
  return result;
}

std::string column_title(std::string_view column) {
  std::string title = notation(column);
  std::replace(title.begin(), title.end(), '_', ' ');
  return title;
}

}  // namespace slopewise
