#include "apps/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "slopewise/report/text.hpp"

namespace slopewise {
namespace {

constexpr int kGap = 2;
constexpr std::int64_t kMostColumns = 32, kMostPixelRows = 64;
constexpr std::string_view kRamp = " .:-=+*#%@";

using Colour = std::array<int, 3>;

// How many dots of `size` pixels cover `extent` pixels.
std::int64_t dots(std::int64_t extent, std::int64_t size) {
  return (extent + size - 1) / size;
}

// An image from 0 to 255: numbers that are not so stored from the least to the largest of the image.
std::vector<std::uint8_t> shown_pixels(const Dataset& dataset, std::int64_t index) {
  std::vector<double> numbers(static_cast<std::size_t>(dataset.image_shape.size()));
  gather_stored<double>(dataset, {&index, 1}, numbers);
  const auto [least, most] = std::ranges::minmax(numbers);
  const bool bytes = dataset.scaling.rule == Scaling::Rule::kBytes;
  const double from = bytes ? 0 : least, width = bytes ? 255 : most > least ? most - least : 1;
  std::vector<std::uint8_t> pixels;
  for (const double number : numbers)
    pixels.push_back(static_cast<std::uint8_t>(std::lround(255 * std::clamp((number - from) / width, 0.0, 1.0))));
  return pixels;
}

// One image as dots: squares of size × size pixels.
class Dots {
 public:
  Dots(const Dataset& dataset, std::int64_t index, std::int64_t size)
      : shape_(dataset.image_shape), pixels_(shown_pixels(dataset, index)), size_(size) {}

  std::int64_t rows() const { return dots(shape_[0], size_); }
  std::int64_t columns() const { return dots(shape_[1], size_); }

  // The mean colour of a dot's pixels; nothing below the last row.
  std::optional<Colour> at(std::int64_t row, std::int64_t column) const {
    if (row >= rows()) return {};
    const std::int64_t bottom = std::min((row + 1) * size_, shape_[0]),
                       right = std::min((column + 1) * size_, shape_[1]);
    std::array<std::int64_t, 3> sum = {};
    for (std::int64_t y = row * size_; y < bottom; ++y) {
      for (std::int64_t x = column * size_; x < right; ++x) {
        const std::uint8_t* pixel = &pixels_[(y * shape_[1] + x) * shape_[2]];
        for (std::int64_t c = 0; c < 3; ++c) sum[c] += pixel[shape_[2] >= 3 ? c : 0];
      }
    }
    const std::int64_t count = (bottom - row * size_) * (right - column * size_);
    return Colour{static_cast<int>(sum[0] / count), static_cast<int>(sum[1] / count), static_cast<int>(sum[2] / count)};
  }

 private:
  const Shape& shape_;
  std::vector<std::uint8_t> pixels_;
  std::int64_t size_;
};

std::string coloured_line(const Dots& image, std::int64_t row) {
  std::string line, current;
  for (std::int64_t column = 0; column < image.columns(); ++column) {
    const Colour above = *image.at(row, column);
    const std::optional<Colour> below = image.at(row + 1, column);
    std::string escape = fmt::format("\x1b[38;2;{};{};{}m", above[0], above[1], above[2]);
    escape += below ? fmt::format("\x1b[48;2;{};{};{}m", (*below)[0], (*below)[1], (*below)[2]) : "\x1b[49m";
    if (escape != current) line += escape;
    current = std::move(escape);
    line += "▀";
  }
  return line + "\x1b[0m";
}

std::string plain_line(const Dots& image, std::int64_t row) {
  const auto luma = [](const Colour& c) { return (299 * c[0] + 587 * c[1] + 114 * c[2]) / 1000; };  // ITU-R BT.601
  std::string line;
  for (std::int64_t column = 0; column < image.columns(); ++column) {
    const int above = luma(*image.at(row, column));
    const std::optional<Colour> below = image.at(row + 1, column);
    const int grey = below ? (above + luma(*below)) / 2 : above;
    line += kRamp[static_cast<std::size_t>(grey) * kRamp.size() / 256];
  }
  return line;
}

std::string caption(const Dataset& dataset, std::int64_t index, int width) {
  const std::int32_t label = dataset.labels[index];
  std::string text = std::to_string(label);
  if (!dataset.class_names.empty()) text += " " + printable(dataset.class_names[label]);
  text = truncate(text, width);
  return text + std::string(width - display_width(text), ' ');
}

}  // namespace

std::string picture(const Dataset& dataset, std::span<const std::int64_t> indices, int width, bool colour) {
  const std::int64_t most_columns = std::min<std::int64_t>(width, kMostColumns);
  const std::int64_t size =
      std::max(dots(dataset.image_shape[1], most_columns), dots(dataset.image_shape[0], kMostPixelRows));
  const int columns = static_cast<int>(dots(dataset.image_shape[1], size));
  const auto abreast = static_cast<std::size_t>(std::max(1, (width + kGap) / (columns + kGap)));

  std::string text;
  const auto join = [&](auto band, auto part) {
    for (std::size_t i = 0; i < band.size(); ++i) text += (i > 0 ? std::string(kGap, ' ') : "") + part(band[i]);
    text += '\n';
  };
  for (std::size_t first = 0; first < indices.size(); first += abreast) {
    const auto band = indices.subspan(first, std::min(abreast, indices.size() - first));
    if (first > 0) text += '\n';
    join(band, [&](std::int64_t index) { return caption(dataset, index, columns); });
    std::vector<Dots> images;
    for (const std::int64_t index : band) images.emplace_back(dataset, index, size);
    for (std::int64_t row = 0; row < dots(dataset.image_shape[0], size); row += 2) {
      join(std::span<const Dots>(images),
           [&](const Dots& image) { return colour ? coloured_line(image, row) : plain_line(image, row); });
    }
  }
  return text;
}

}  // namespace slopewise
