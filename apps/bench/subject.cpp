#include "apps/bench/subject.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "slopewise/base/philox.hpp"

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

BenchSubject::BenchSubject(std::string_view model, Index batch) : BenchSubject(named_network(model), kSide, batch) {}

BenchSubject BenchSubject::small(std::string_view name) {
  NetworkSpec network = named_network(name);
  if (network.convolutions.empty()) network.hidden.assign(std::min<std::size_t>(2, network.hidden.size()), kSmallWidth);
  return {network, network.family == "cnn" ? kSmallConvolvedSide : kSmallSide, 1};
}

BenchSubject::BenchSubject(const NetworkSpec& network, Index side, Index batch)
    : network_(network),
      image_(image_shape(network, side)),
      model_(make_model(network, image_, kClasses)),
      shape_(describe(network, side)),
      images_(static_cast<std::size_t>(image_.size() * batch)),
      labels_(static_cast<std::size_t>(batch)) {
  RandomStream random(kSeed);
  for (float& pixel : images_) pixel = static_cast<float>(random.uniform());
  for (std::int32_t& label : labels_) label = static_cast<std::int32_t>(random.below(kClasses));
}

Batch<float> BenchSubject::batch() const {
  return {.rows = batch_size(), .inputs = {std::span<const float>(images_), std::span<const std::int32_t>(labels_)}};
}

}  // namespace slopewise
