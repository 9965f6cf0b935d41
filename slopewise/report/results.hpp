// What results.json holds, where a value may be missing or null.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace slopewise {

// A number; NaN, for which JSON has null, where it is none.
double number(const nlohmann::ordered_json& value);
// The same of an object's field, which may be missing.
double number(const nlohmann::ordered_json& object, const std::string& key);

// A string as it is, other values as JSON writes them, "" for null.
std::string text(const nlohmann::ordered_json& value);
std::string text(const nlohmann::ordered_json& object, const std::string& key);

// What a setting was set to, to be read: numbers, and lists of them, with the minus sign of the page, the rest as text.
std::string setting_text(const nlohmann::ordered_json& value);

}  // namespace slopewise
