// The words of a command line, given to the verb and the options that they name.
#pragma once

#include <string>
#include <vector>

#include "apps/verb.hpp"

namespace slopewise {

struct Request {
  enum class What { kRun, kHelp, kHelpAll, kVersion };
  Verb* verb;  // the program itself where none is named
  What what = What::kRun;
};

// Sets what the words set. `slopewise help VERB` is `slopewise VERB --help`. Throws ArgumentError for a word that is no
// verb or option, with the nearest one, and for a value that its option does not take.
Request parse(Verb& program, std::vector<std::string> words);

}  // namespace slopewise
