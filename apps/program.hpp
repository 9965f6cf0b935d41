// The command line as a whole: every verb with its options.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/arguments.hpp"
#include "apps/verb.hpp"

namespace slopewise {

// The program with all its verbs, which say some of their words by it: it stays where it is. `common` must live as
// long. `run_words` runs another command line, given without the program's name.
std::unique_ptr<Verb> make_program(CommonOptions& common, std::function<int(std::vector<std::string>)> run_words);

}  // namespace slopewise
