#include "apps/bench/subject.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "slopewise/base/philox.hpp"
#include "slopewise/model/initialize.hpp"

namespace slopewise {
namespace {

constexpr Index kSide = 28;                // of MNIST's images
constexpr Index kSmallSide = 14;           // two patches of a mixer
constexpr Index kSmallConvolvedSide = 20;  // four convolutions and two poolings leave something of it
constexpr Index kSmallWidth = 64;
constexpr Index kClasses = 10;
constexpr std::uint64_t kSeed = 1;

std::string describe(const NetworkSpec& network, Index side) {
  if (!network.convolutions.empty()) return fmt::format("cnn,{}", side);
  std::vector<Index> widths = {side * side};
  widths.insert(widths.end(), network.hidden.begin(), network.hidden.end());
  widths.push_back(kClasses);
  return fmt::format("{}", fmt::join(widths, ","));
}

// What reads flat images takes them flat, as PyTorch's linear layers do.
Shape image_shape(const NetworkSpec& network, Index side) {
  return network.family == "cnn" || network.family == "mixer" ? Shape{side, side, 1} : Shape{side * side};
}

}  // namespace

BenchSubject::BenchSubject(const NetworkSpec& network, Index side, Index batch)
    : spec_(network),
      image_(image_shape(network, side)),
      chain_(make_chain(network, image_, kClasses, false)),
      batch_(batch),
      shape_(describe(network, side)) {
  draw_inputs();
}

BenchSubject::BenchSubject(const OnnxNetwork& file, Index batch, bool few_rows)
    : chain_(file.network.evaluating),
      file_(file.model),
      batch_(batch),
      few_rows_(few_rows),
      shape_(file.model->file().string()) {
  draw_inputs();
}

std::vector<ChainBlock> BenchSubject::local_chain() const {
  if (file_) return {};
  NetworkSpec local = spec_;
  local.block_layers = 1;
  return make_chain(local, image_, kClasses, false);
}

BenchSubject BenchSubject::make(const BenchModel& model, Index batch) {
  if (model.is_file()) return {open_onnx(model.name, model.onnx), batch, model.onnx.blocks.has_value()};
  return {named_network(model.name), kSide, batch};
}

BenchSubject BenchSubject::small(const BenchModel& model) {
  if (model.is_file()) return make(model, 1);
  NetworkSpec network = named_network(model.name);
  if (network.convolutions.empty()) network.hidden.assign(std::min<std::size_t>(2, network.hidden.size()), kSmallWidth);
  return {network, network.family == "cnn" ? kSmallConvolvedSide : kSmallSide, 1};
}

// Numbers in [0, 1), and whole numbers: of a file 0 and 1, which any table and any set of classes has.
void BenchSubject::draw_inputs() {
  RandomStream random(kSeed);
  for (const Index i : program().inputs()) {
    const GraphNode& node = program().node(i);
    const auto size = static_cast<std::size_t>(node.shape.size() * batch_);
    if (node.kind == GraphNode::Kind::kInput) {
      std::vector<float> numbers(size);
      for (float& number : numbers) number = static_cast<float>(random.uniform());
      inputs_.emplace_back(std::move(numbers));
    } else {
      const Index most = file_ ? 2 : kClasses;
      std::vector<std::int32_t> integers(size);
      for (std::int32_t& integer : integers)
        integer = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(most)));
      inputs_.emplace_back(std::move(integers));
    }
  }
}

Batch<float> BenchSubject::batch() const {
  Batch<float> batch{.rows = batch_, .inputs = {}};
  for (const auto& input : inputs_)
    std::visit([&](const auto& numbers) { batch.inputs.emplace_back(std::span(numbers)); }, input);
  return batch;
}

Parameters<float> BenchSubject::start() const {
  return file_ ? file_->initial<float>(kSeed) : initialize<float>(program().layout(), kSeed);
}

}  // namespace slopewise
