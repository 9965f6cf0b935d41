#include "slopewise/data/layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "slopewise/base/error.hpp"

namespace slopewise::detail {
namespace {

constexpr Index kMostChannels = 4;  // red, green, blue and what covers them

// Channels are few beside a height and a width that are not, or leave a square. Feature maps of few rows and columns
// have their channels anywhere.
std::optional<Layout> evident(const Shape& shape) {
  const Index first = shape[0], middle = shape[1], last = shape[2];
  const auto image = [](Index height, Index width) { return height > kMostChannels && width > kMostChannels; };
  if (first <= kMostChannels && image(middle, last)) return Layout::kChannelsFirst;
  if (last <= kMostChannels && image(first, middle)) return Layout::kChannelsLast;
  if (!image(first, last)) return {};
  if (first == middle && middle != last) return Layout::kChannelsLast;
  if (middle == last && first != middle) return Layout::kChannelsFirst;
  return {};
}

}  // namespace

ImageLayout find_layout(const Shape& example, std::optional<Layout> layout, const std::string& where) {
  if (example.rank() < 1 || example.rank() > 3 || example.size() == 0) {
    throw FileError(
        fmt::format("{}: expected examples of 1 to 3 axes with entries: (columns), (height, width) or (height, width, "
                    "channels), found {}",
                    where, example.to_string()));
  }
  if (layout == Layout::kTable || example.rank() == 1) {
    if (layout && *layout != Layout::kTable)
      throw ArgumentError(fmt::format("--layout: expected images, found rows of {} in {}", example.to_string(), where));
    return {.image_shape = {example.size()}};
  }
  if (example.rank() == 2) return {.image_shape = {example[0], example[1], 1}};
  if (!layout) layout = evident(example);
  if (!layout) {
    throw ArgumentError(
        fmt::format("{}: examples of shape {} may have their channels first or last: say --layout nchw or nhwc", where,
                    example.to_string()));
  }
  if (*layout == Layout::kChannelsLast) return {.image_shape = example};
  return {.image_shape = {example[1], example[2], example[0]}, .channels_first = example[0] > 1};
}

bool same_but_for_ones(const Shape& a, const Shape& b) {
  const auto longer = [](const Shape& shape) {
    std::vector<Index> extents = shape.extents();
    std::erase(extents, 1);
    return extents;
  };
  return longer(a) == longer(b);
}

std::optional<ImageLayout> layout_for(const Dataset& like, const Shape& example) {
  const Shape& wanted = like.image_shape;
  const ImageLayout as_stored{.image_shape = wanted};
  if (like.integers || (wanted.rank() != 1 && wanted.rank() != 3))
    return same_but_for_ones(example, wanted) ? std::optional(as_stored) : std::nullopt;
  if (wanted.rank() == 1) return example.size() == wanted.size() ? std::optional(as_stored) : std::nullopt;
  const Shape turned{wanted[2], wanted[0], wanted[1]};
  const bool image = example.rank() == 3;
  const bool last = image ? example == wanted : same_but_for_ones(example, wanted);
  const bool first = image ? example == turned : same_but_for_ones(example, turned);
  if (last && (!first || wanted[2] == 1)) return as_stored;
  if (first && !last) return ImageLayout{.image_shape = wanted, .channels_first = wanted[2] > 1};
  return {};
}

}  // namespace slopewise::detail
