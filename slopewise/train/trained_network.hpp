// A network that was trained, from a file of its weights, to judge it and to use it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "slopewise/train/description.hpp"
#include "slopewise/train/evaluation.hpp"

namespace slopewise {

class TrainedNetwork {
 public:
  // `path`: a run's directory, of which weights.safetensors is taken, or checkpoint.safetensors while there is none; or
  // a file that slopewise train wrote. Throws FileError where there is none of these, it says nothing of its network,
  // or the weights do not fit it.
  explicit TrainedNetwork(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  // What it reads: a set of no examples (LoadOptions::like).
  const Dataset& data() const { return description_.data; }
  Index parameters() const;
  // The answers to all examples of a set, as run_chain visits them.
  void run(const Dataset& set,
           const std::function<void(std::span<const Index>, double, std::span<const float>)>& visit) const;

 private:
  struct Block {
    std::shared_ptr<ForwardPass<float>> pass;
    Parameters<float> theta;
  };

  std::filesystem::path path_;
  NetworkDescription description_;
  std::vector<ChainBlock> chain_;
  std::vector<Block> blocks_;
};

}  // namespace slopewise
