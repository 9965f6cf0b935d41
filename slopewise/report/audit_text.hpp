// What audit.json says, in words.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace slopewise {

// What was measured of the model, name by name. Throws what nlohmann::json throws for another document.
std::vector<std::pair<std::string, std::string>> audit_facts(const nlohmann::ordered_json& document);

// What a step takes by many ranks, a header and a row for each number of them; empty where that was not asked. Throws
// likewise.
std::vector<std::vector<std::string>> audit_ranks(const nlohmann::ordered_json& document);

// For a terminal: the answer, then the figures it rests on. Throws likewise.
std::string audit_text(const nlohmann::ordered_json& document);

}  // namespace slopewise
