// A network that was trained, from a file of its weights, to judge it and to use it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "slopewise/train/description.hpp"
#include "slopewise/train/evaluation.hpp"

namespace slopewise {

// Makes a network that is described by such a text (Network::description) for data like that set, which has no
// examples.
using NetworkMaker = std::function<Network(const std::string& description, const Dataset& data)>;
// Of a family. Throws ArgumentError for a text that describes none.
Network network_of_family(const std::string& description, const Dataset& data);

class TrainedNetwork {
 public:
  // `path`: a run's directory, of which weights.safetensors is taken, or checkpoint.safetensors while there is none; or
  // a file that slopewise train wrote. Throws FileError where there is none of these, it says nothing of its network,
  // or the weights do not fit it.
  explicit TrainedNetwork(const std::filesystem::path& path, const NetworkMaker& make = network_of_family);
  // A network with the weights it starts from; `path` is where it comes from, and `data` says what it reads.
  TrainedNetwork(std::filesystem::path path, const Network& network, Dataset data);

  const std::filesystem::path& path() const { return path_; }
  // What it reads: a set of no examples (LoadOptions::like).
  const Dataset& data() const { return data_; }
  Index parameters() const;
  // The answers to all examples of a set, as run_chain visits them.
  void run(const Dataset& set,
           const std::function<void(std::span<const Index>, double, std::span<const float>)>& visit) const;

 private:
  struct Block {
    std::shared_ptr<ForwardPass<float>> pass;
    Parameters<float> theta;
  };
  // Throws ShapeError where the network does not read and answer what data() says.
  void take(const Network& network);

  std::filesystem::path path_;
  Dataset data_;
  std::vector<ChainBlock> chain_;
  std::vector<Block> blocks_;
};

}  // namespace slopewise
