#include "apps/config.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <set>
#include <sstream>

#include "apps/toml_depth.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

toml::table parse_toml(const std::string& toml, const std::string& source) {
  require_shallow_toml(toml, source);
  try {
    return toml::parse(toml);
  } catch (const toml::parse_error& error) {
    throw ArgumentError(fmt::format("{}, line {}: {}", source, error.source().begin.line, error.description()));
  }
}

// Throws ArgumentError for a table or a date.
Value value_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return whole->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  const toml::array* array = node.as_array();
  if (!array) throw ArgumentError("expected a number, a truth value, text or a list of those");
  Value list = Value::array();
  for (const toml::node& item : *array) list.push_back(value_of(item));
  return list;
}

// JSON's numbers and truth values are TOML's, and shorter than toml++ writes them.
std::string toml_of(const Value& value) {
  if (value.is_string()) {
    std::ostringstream text;
    text << toml::toml_formatter{toml::value<std::string>(value.get<std::string>()), toml::format_flags::none};
    return text.str();
  }
  if (!value.is_array()) return value.dump();
  std::string list;
  for (const Value& item : value) list += (list.empty() ? "" : ", ") + toml_of(item);
  return "[" + list + "]";
}

// Whether what was given before leaves no room for it.
bool is_excluded(const Setting& setting, const std::set<std::string, std::less<>>& given, const Settings& settings) {
  if (given.contains(setting.name) || given.contains(setting.traits.excludes)) return true;
  for (const std::string& other : given) {
    if (settings.at(other).traits.excludes == setting.name) return true;
  }
  return false;
}

}  // namespace

void apply_config(Settings& settings, const std::string& toml, const std::string& source,
                  const std::function<bool(const Setting&)>& takes) {
  const toml::table document = parse_toml(toml, source);
  std::set<std::string, std::less<>> before, now;
  for (const Setting& setting : settings.all()) {
    if (setting.given) before.insert(setting.name);
  }
  const auto apply = [&](const toml::table& table) {
    for (const auto& [key, node] : table) {
      if (node.is_table()) continue;
      const std::string name(key.str());
      const std::string place = fmt::format("{}, line {}", source, key.source().begin.line);
      Setting* setting = settings.find(name);
      if (!setting || !setting->traits.in_files) {
        throw ArgumentError(fmt::format("{}: {} is no option of {}{}", place, name, settings.verb(),
                                        setting ? " in files" : settings.suggestion(name)));
      }
      if (!now.insert(setting->name).second)
        throw ArgumentError(fmt::format("{}: {}: expected once, found it twice", place, setting->name));
      if (is_excluded(*setting, before, settings) || (takes && !takes(*setting))) continue;
      try {
        setting->set(value_of(node));
      } catch (const ArgumentError& error) {
        throw ArgumentError(fmt::format("{}: {}: {}", place, name, error.what()));
      }
    }
  };
  apply(document);
  for (const auto& [key, node] : document) {
    if (!node.is_table()) continue;
    if (key.str() != settings.verb()) {
      throw ArgumentError(
          fmt::format("{}: expected options of {}, found those of {}", source, settings.verb(), key.str()));
    }
    apply(*node.as_table());
  }
}

std::string config_of(const Settings& settings, ConfigPart part) {
  std::string toml = fmt::format("[{}]\n", settings.verb());
  for (const Setting& setting : settings.all()) {
    if (!setting.traits.in_files || (part == ConfigPart::kGiven && !setting.given)) continue;
    const Value value = setting.value();
    if (value.is_null()) continue;
    try {
      value.dump();
    } catch (const Value::type_error&) {
      throw ArgumentError(
          fmt::format("{}: expected UTF-8, to be kept in config.toml, found other bytes", display_name(setting)));
    }
    toml += fmt::format("{} = {}\n", setting.name, toml_of(value));
  }
  return toml;
}

Value config_object(const Settings& settings) {
  Value object = Value::object();
  for (const Setting& setting : settings.all()) {
    if (setting.traits.in_files) object[setting.name] = setting.value();
  }
  return object;
}

void write_config(const std::filesystem::path& directory, const Settings& settings, ConfigPart part) {
  write_text(directory / "config.toml", config_of(settings, part));
}

std::string verb_of_config(const std::string& toml, const std::string& source) {
  for (const auto& [key, node] : parse_toml(toml, source)) {
    if (node.is_table()) return std::string(key.str());
  }
  throw ArgumentError(fmt::format("{}: expected the verb's name in brackets above its options, found none", source));
}

}  // namespace slopewise
