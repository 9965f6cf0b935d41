// Pictures in PNG, JPEG and Netpbm files, as bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

struct ImageFile {
  Shape shape;                       // (height, width, channels), 1 channel or 3
  std::vector<std::uint8_t> pixels;  // in this order, as sRGB
};

// What is read of a picture at most: a file of a few bytes may claim any size.
inline constexpr Index kMostImagePixels = Index{1} << 26;
inline constexpr std::uint64_t kMostImageBytes = std::uint64_t{256} << 20;

// Whether the name ends as those of the formats do: .png, .jpg, .jpeg, .ppm, .pgm or .pnm, in any case.
bool is_image_name(const std::filesystem::path& path);

// Reads a PNG (8 or 16 bits, with a palette or not; what is transparent lies on black), a JPEG or a PPM or PGM (P2, P3,
// P5, P6, 8 or 16 bits), told by its content. Throws FileError if it is none of these, damaged or cut short, or has
// more pixels than kMostImagePixels or bytes than kMostImageBytes.
ImageFile read_image(const std::filesystem::path& path);

}  // namespace slopewise
