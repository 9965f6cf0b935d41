#include "slopewise/report/results.hpp"

#include <limits>

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

}  // namespace slopewise
