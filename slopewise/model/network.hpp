// A network as those who train, judge and use it take it, wherever it comes from: a family of this library or a file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "slopewise/model/chain.hpp"
#include "slopewise/tensor/parameters.hpp"

namespace slopewise {

struct Network {
  // The blocks with what only training has, dropout and label smoothing; and without.
  std::vector<ChainBlock> training, evaluating;
  // θ of a block before training, drawn from the seed where nothing else decides it.
  std::function<Parameters<float>(std::size_t block, std::uint64_t seed)> initial;
  // What files of weights say of it, as a JSON text, so that it can be made again; "file" is where it lies, if
  // anywhere.
  std::string description;
};

// The network where the head and the last `blocks` blocks train, and the rest stays as it is; -1: where its last layer
// does.
struct NetworkTop {
  Index blocks;
  Network network;
};

// What two descriptions of one network have in common: all but where it lies. Throws FileError for another text.
std::string identity(const std::string& description);

// A network of a family: make_chain, with He's initialisation. Throws as make_chain does.
Network make_network(const NetworkSpec& spec, const Shape& image, NetworkTarget target);

// The same in blocks of one layer with losses of their own; none where that is one block.
std::optional<Network> local_network(NetworkSpec spec, const Shape& image, NetworkTarget target);

// The spec as JSON text, without what is of training alone; and back. Throws ArgumentError for a text that says
// something else.
std::string describe(const NetworkSpec& spec);
NetworkSpec network_spec(const std::string& description);
// The layers that such a text names; 0 where it is another. What makes them takes long for many.
std::size_t layers_of(const std::string& description);

}  // namespace slopewise
