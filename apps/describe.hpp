// What the command line says of itself, for completion and manual pages: the same words as --help.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace slopewise {

struct OptionWords {
  std::vector<std::string> names;    // "-q", "--quiet"; of a positional, its name without dashes
  std::string description;           //
  std::string value;                 // "FILE"; empty for a flag
  std::vector<std::string> choices;  // what it takes, if that is one of some names
  std::string range;                 // "1 to 1024", if that is a number
  std::string standard;              // its default, "256,256" of a list, or ""
  bool positional = false;
};

// The options of a verb that --help shows, in its order.
std::vector<OptionWords> describe_options(const CLI::App& command);

// Its verbs, in order.
std::vector<const CLI::App*> verbs_of(const CLI::App& command);

// "slopewise", "data", "show" of `slopewise data show`.
std::vector<std::string> path_of(const CLI::App& command);

}  // namespace slopewise
