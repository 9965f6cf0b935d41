// What the program says of its verbs and options.
#pragma once

#include <string>

#include "apps/verb.hpp"

namespace slopewise {

// "-q, --quiet", "--batch N", "ROW...".
std::string synopsis(const Setting& setting);

// What it does, what it takes and its default: "Images of a step (1 to 1000; default: 64)".
std::string description(const Setting& setting);

// What --help prints, in lines of at most `width` columns; with `all`, what --help-all does.
std::string help(const Verb& verb, bool all, int width);

}  // namespace slopewise
