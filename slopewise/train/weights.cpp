#include "slopewise/train/weights.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr std::string_view kState = "state/";
constexpr std::size_t kMostNamed = 6;  // tensors of a kind that go into an error

std::string named(const char* what, const std::vector<std::string>& tensors) {
  if (tensors.empty()) return "";
  const std::span some = std::span(tensors).first(std::min(tensors.size(), kMostNamed));
  return fmt::format("; {}: {}{}", what, fmt::join(some, ", "),
                     some.size() < tensors.size() ? fmt::format(" and {} more", tensors.size() - some.size()) : "");
}

}  // namespace

std::string weight_prefix(std::size_t block, std::size_t blocks) {
  return blocks == 1 ? "" : fmt::format("block{}.", block + 1);
}

template <class T>
void read_weights(const TensorFile& file, std::span<const BlockWeights<T>> blocks) {
  std::set<std::string> there;
  for (const std::string& name : file.names()) {
    if (!name.starts_with(kState)) there.insert(name);
  }
  const bool numbered = std::ranges::any_of(there, [](const std::string& name) { return name.starts_with("block1."); });
  const auto prefix = [&](std::size_t block) { return weight_prefix(block, numbered ? 2 : blocks.size()); };
  std::vector<std::string> missing, misshapen;
  std::set<std::string> left = there;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    for (const Segment& segment : blocks[b].layout->segments) {
      const std::string name = prefix(b) + segment.name;
      left.erase(name);
      if (!there.contains(name)) {
        missing.push_back(fmt::format("{} {}", name, segment.shape.to_string()));
      } else if (const Shape shape = file.shape(name); shape != segment.shape) {
        misshapen.push_back(fmt::format("{} is {}, expected {}", name, shape.to_string(), segment.shape.to_string()));
      }
    }
  }
  if (!missing.empty() || !left.empty() || !misshapen.empty()) {
    throw FileError(fmt::format("{}: expected the weights of this network, found others{}{}{}", file.path().string(),
                                named("missing", missing), named("left over", {left.begin(), left.end()}),
                                named("of another shape", misshapen)));
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    for (const Segment& segment : blocks[b].layout->segments) {
      const std::string name = prefix(b) + segment.name;
      const std::vector<T> values = file.read<T>(name, segment.shape);
      const auto wrong = std::ranges::find_if_not(values, [](T value) { return std::isfinite(value); });
      if (wrong != values.end()) {
        throw FileError(fmt::format("{}: {}, number {}: found {}, expected a finite number", file.path().string(), name,
                                    wrong - values.begin() + 1, *wrong));
      }
      std::ranges::copy(values, blocks[b].theta.begin() + segment.offset);
    }
  }
}

template void read_weights(const TensorFile&, std::span<const BlockWeights<float>>);
template void read_weights(const TensorFile&, std::span<const BlockWeights<double>>);

}  // namespace slopewise
