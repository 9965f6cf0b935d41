#include "slopewise/train/trained_network.hpp"

#include <fmt/format.h>

#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/train/weights.hpp"

namespace slopewise {
namespace {

std::filesystem::path weights_of(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return path;
  for (const char* name : {"weights.safetensors", "checkpoint.safetensors"}) {
    if (std::filesystem::exists(path / name, ignored)) return path / name;
  }
  throw FileError(
      fmt::format("{}: expected the directory of a training run, found no weights.safetensors and no "
                  "checkpoint.safetensors",
                  path.string()));
}

}  // namespace

Network network_of_family(const std::string& description, const Dataset& data) {
  return make_network(network_spec(description), data.image_shape, target_of(data));
}

namespace {

// Whether a chain reads and answers what the data set says: input by input, then a label for each place or numbers.
void require_fit(const std::vector<ChainBlock>& chain, const Dataset& data) {
  const auto input = [](const ChainBlock& block, std::size_t i) -> const GraphNode& {
    if (i >= block.program->inputs().size()) throw ShapeError("the network reads fewer inputs than its data have");
    return block.program->node(block.program->inputs()[i]);
  };
  const auto require = [&](const GraphNode& node, Index size, bool integers) {
    if (node.shape.size() == size && integers == (node.kind == GraphNode::Kind::kIndices)) return;
    throw ShapeError(fmt::format("the network reads '{}' of shape {}, the data have {} {} an example", node.name,
                                 node.shape.to_string(), size, integers ? "integers" : "numbers"));
  };
  require(input(chain.front(), 0), data.image_shape.size(), data.integers);
  for (std::size_t i = 0; i < data.others.size(); ++i)
    require(input(chain.front(), i + 1), data.others[i].shape.size(), data.others[i].integers);
  const ChainBlock& last = chain.back();
  const Index answers = last.program->node(last.output).shape.size();
  const std::size_t learned = (chain.size() == 1 ? data.others.size() : 0) + 1 + (last.noisy ? 1 : 0);
  const bool numbers = data.outputs > 0, classes = !numbers && data.classes > 0;
  if (numbers) require(input(last, learned), data.outputs, false);
  if (classes) require(input(last, learned), data.label_shape.size(), true);
  const Index expected = numbers ? data.outputs : classes ? data.label_shape.size() * data.classes : answers;
  if (answers != expected)
    throw ShapeError(fmt::format("the network answers with {} numbers an example, expected {}", answers, expected));
}

}  // namespace

void TrainedNetwork::take(const Network& network) {
  chain_ = network.evaluating;
  require_fit(chain_, data_);
  const auto workspace = std::make_shared<Workspace>();  // blocks take turns
  for (std::size_t i = 0; i < chain_.size(); ++i) {
    Block block{.theta = network.initial(i, 1)};
    for (std::size_t before = 0; before < i; ++before) {
      if (chain_[before].program == chain_[i].program) block.pass = blocks_[before].pass;
    }
    if (!block.pass) {
      block.pass = std::make_shared<ForwardPass<float>>(*chain_[i].program,
                                                        ForwardOptions{.outputs = {chain_[i].output}}, workspace);
    }
    blocks_.push_back(std::move(block));
  }
}

TrainedNetwork::TrainedNetwork(std::filesystem::path path, const Network& network, Dataset data)
    : path_(std::move(path)), data_(std::move(data)) {
  take(network);
}

TrainedNetwork::TrainedNetwork(const std::filesystem::path& path, const NetworkMaker& make) : path_(weights_of(path)) {
  const TensorFile file(path_);
  NetworkDescription description = description_from(file.metadata(), path_.string());
  data_ = std::move(description.data);
  try {
    // A few bytes may claim any network; what the file holds bounds what is made of it.
    if (const std::size_t layers = layers_of(description.network); layers > file.names().size())
      throw ShapeError(fmt::format("{} hidden layers, found {} tensors in the file", layers, file.names().size()));
    const Network network = make(description.network, data_);
    Index held = 0, needed = 0;
    for (const std::string& name : file.names()) held += file.shape(name).size();
    for (const ChainBlock& block : network.evaluating) needed += block.program->layout().size;
    if (needed > held) throw ShapeError(fmt::format("{} weights, found {} numbers in the file", needed, held));
    take(network);
  } catch (const ArgumentError& error) {
    throw FileError(fmt::format("{}: what it says of its network: {}", path_.string(), error.what()));
  } catch (const ShapeError& error) {
    throw FileError(fmt::format("{}: what it says of its network: {}", path_.string(), error.what()));
  }
  std::vector<BlockWeights<float>> weights;
  for (std::size_t i = 0; i < chain_.size(); ++i)
    weights.push_back({&chain_[i].program->layout(), blocks_[i].theta.edit()});
  read_weights<float>(file, weights);
}

Index TrainedNetwork::parameters() const {
  return std::accumulate(blocks_.begin(), blocks_.end(), Index{0},
                         [](Index sum, const Block& block) { return sum + block.theta.size(); });
}

void TrainedNetwork::run(
    const Dataset& set,
    const std::function<void(std::span<const Index>, double, std::span<const float>)>& visit) const {
  std::vector<EvaluatedBlock> blocks;
  for (const Block& block : blocks_) blocks.push_back({block.pass.get(), &block.theta});
  std::vector<Index> all(static_cast<std::size_t>(set.count()));
  std::iota(all.begin(), all.end(), 0);
  run_chain(blocks, set, all, visit);
}

}  // namespace slopewise
