// What the runs of each row come to, and the three files that say it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/compare/lineup.hpp"

namespace slopewise {

// One row of compare.json, of an entry with at least one result. Means are over the runs that did not diverge; what
// they do not have is null.
nlohmann::ordered_json summarize(const Entry& entry);

// The rows by their test error, the least first; those without one last.
void sort_rows(nlohmann::ordered_json& rows);

// The rows as a table for people, with the commands below it; and with every field in a column of its own.
std::string markdown(const nlohmann::ordered_json& document);
// The same as a table on a terminal of so many columns.
std::string leaderboard_text(const nlohmann::ordered_json& document, int width, bool colour);
std::string csv(const nlohmann::ordered_json& rows);

// Writes compare.json, compare.md and compare.csv.
void write_leaderboard(const std::filesystem::path& directory, const nlohmann::ordered_json& document);

}  // namespace slopewise
