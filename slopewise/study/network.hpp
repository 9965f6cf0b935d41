// The network that a study is about: one of a family, or anybody's.
#pragma once

#include <string>

#include "slopewise/data/dataset.hpp"
#include "slopewise/model/network.hpp"

namespace slopewise {

struct StudyNetwork {
  std::string name;  // what people are told
  Network network;   // of one block, looked at as it answers and where it starts
  // Whether claims may compare it with perceptrons of other sizes on the same data: what they then say is said of it,
  // too.
  bool perceptron = false;
};

// A network of a family for examples like those of `data`. A perceptron, of any number of hidden layers, is called by
// its widths, "mlp 784-256-256-10", another network by `name`. Throws as make_network does, and ArgumentError for a
// perceptron on data other than images of 4 × 4 pixels or more in classes.
StudyNetwork study_network(const NetworkSpec& spec, const std::string& name, const Dataset& data);

}  // namespace slopewise
