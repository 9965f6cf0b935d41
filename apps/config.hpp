// Options in TOML files: --config, presets, and what a run directory keeps of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "apps/settings.hpp"

namespace slopewise {

// Sets every option that nothing has set before to what `toml` says: one "name = value" a line, under the verb's name
// in brackets or under none. `source` is named in messages. Options for which `takes` is false are passed over. Throws
// ArgumentError for what is no TOML, for a name that is no option of the verb and for a value that it does not take.
void apply_config(Settings& settings, const std::string& toml, const std::string& source,
                  const std::function<bool(const Setting&)>& takes = {});

// All options as they stand, or those alone that were given, under the verb's name, for apply_config to read back.
// Throws ArgumentError for text that is not UTF-8, which TOML does not hold.
enum class ConfigPart { kAll, kGiven };
std::string config_of(const Settings& settings, ConfigPart part = ConfigPart::kAll);
// The same as an object, for results.json: null where an option has no value.
Value config_object(const Settings& settings);

// Writes that to DIRECTORY/config.toml, from where `slopewise rerun DIRECTORY` takes it.
void write_config(const std::filesystem::path& directory, const Settings& settings, ConfigPart part = ConfigPart::kAll);

// The verb whose options the configuration holds. Throws ArgumentError where it names none.
std::string verb_of_config(const std::string& toml, const std::string& source);

}  // namespace slopewise
