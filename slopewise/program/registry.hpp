// Every op by name, with small programs that exercise it. The tests walk the registry, so an op that is in it is proved
// (check.hpp) with no further code; an op registered without an example is an error.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

// One use of an op. `build` makes its output from a node that holds numbers of the shape `input`, and may make
// parameters and integer inputs of its own; integers are filled with values from 0 to below `index_limit`.
struct OpExample {
  std::string description;  // "stride 2, padding 1"
  Shape input;
  std::function<Node(const Node& x)> build;
  // Where the entries of x are drawn from, so that an example stays off the points where a derivative does not exist.
  double low = -2;
  double high = 2;
  std::int32_t index_limit = 1;
};

struct OpEntry {
  std::string name;
  std::vector<OpExample> examples;
};

// The built-in ops and those added by register_op, by name.
const std::vector<OpEntry>& op_registry();

// Adds an op of your own. Throws ArgumentError if the name is taken or there is no example.
void register_op(OpEntry entry);

}  // namespace slopewise
