// Options in files: --config, and what a run directory keeps of its own.
#pragma once

#include <filesystem>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace slopewise {

bool is_flag(const CLI::Option& option);
// Whether a flag was given, and not as "=false".
bool is_on(const CLI::Option& flag);

// Sets every option that the command line left alone to what `toml` says: one "name = value" a line, lists in brackets,
// under the command's name in brackets or under none. `source` is named in messages. Throws ArgumentError for a name
// that is no option of the command and for a value that it does not take.
void apply_config(CLI::App& command, const std::string& toml, const std::string& source);

// All options as they stand, or those alone that were given, under the command's name, for apply_config to read back.
enum class ConfigPart { kAll, kGiven };
std::string config_of(const CLI::App& command, ConfigPart part = ConfigPart::kAll);

// Writes that to DIRECTORY/config.toml, from where `slopewise rerun DIRECTORY` takes it.
void write_config(const std::filesystem::path& directory, const CLI::App& command, ConfigPart part = ConfigPart::kAll);

// The verb whose options the configuration holds. Throws ArgumentError where it names none.
std::string verb_of_config(const std::string& toml, const std::string& source);

// A file's content. Throws FileError.
std::string read_text(const std::filesystem::path& path);

}  // namespace slopewise
