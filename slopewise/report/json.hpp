// JSON files that are either wholly there or not at all.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace slopewise {

// Writes a document, indented by two spaces and ended by a line break. Every double gets digits enough to read back the
// same bits; NaN and infinities, which JSON lacks, become null; ill-formed UTF-8 becomes U+FFFD. Throws FileError, and
// then the file is as it was.
void write_json(const std::filesystem::path& path, const nlohmann::ordered_json& document);

// Reads one. Throws FileError as read_text does, and for what is no JSON.
nlohmann::ordered_json read_json(const std::filesystem::path& path);

}  // namespace slopewise
