#include "slopewise/report/results.hpp"

#include <algorithm>
#include <limits>

#include "slopewise/report/notation.hpp"

namespace slopewise {

using Json = nlohmann::ordered_json;

double number(const Json& value) {
  return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

double number(const Json& object, const std::string& key) {
  return number(object.value(key, Json()));
}

std::string text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
}

std::string text(const Json& object, const std::string& key) {
  return text(object.value(key, Json()));
}

std::string setting_text(const Json& value) {
  const auto is_number = [](const Json& each) { return each.is_number(); };
  const bool numbers = is_number(value) || (value.is_array() && std::ranges::all_of(value, is_number));
  return numbers ? notation(value.dump()) : text(value);
}

}  // namespace slopewise
