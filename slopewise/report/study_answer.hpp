// What a study answers to its question.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace slopewise {

// One sentence, made from what was measured: yes, no or when forward gradients are too noisy to train with. `results`
// are those of a study.
std::string study_answer(const nlohmann::ordered_json& results);

// "17 of the 21 claims measured hold, 2 under a condition".
std::string count_of_verdicts(const nlohmann::ordered_json& claims);

}  // namespace slopewise
