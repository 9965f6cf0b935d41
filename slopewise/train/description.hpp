// What a file of weights says of the network they belong to and of the data it reads, so that they can be used without
// the run they come from.
#pragma once

#include <map>
#include <string>

#include "slopewise/data/dataset.hpp"
#include "slopewise/model/network.hpp"

namespace slopewise {

// As JSON, under the names "network" and "data" among a file's strings.
std::map<std::string, std::string> describe(const Network& network, const Dataset& data);

struct NetworkDescription {
  std::string network;  // Network::description
  Dataset data;         // of no examples: shapes, classes, scaling
};
// Throws FileError, in the name of `source`, where it is missing or something else.
NetworkDescription description_from(const std::map<std::string, std::string>& strings, const std::string& source);

}  // namespace slopewise
