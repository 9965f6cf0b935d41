#include "slopewise/data/image_file.hpp"

// jpeglib.h needs FILE and size_t before it.
#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csetjmp>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include <jpeglib.h>

#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/base/lower_case.hpp"

namespace slopewise {
namespace {

constexpr int kMostScans = 100;  // of a progressive JPEG, each of which goes over the whole picture

[[noreturn]] void reject(const std::string& file, std::string_view format, std::string_view why) {
  throw FileError(fmt::format("{}: not a whole {} picture: {}", file, format, why));
}

void check_extents(const std::string& file, std::string_view format, Index height, Index width) {
  if (height < 1 || width < 1 || height > kMostImagePixels / width) {
    reject(file, format, fmt::format("{}×{} pixels, expected 1 to {} in all", height, width, kMostImagePixels));
  }
}

ImageFile decode_png(const std::string& file, std::span<const std::uint8_t> bytes) {
  // libpng reads no further than the last row; what is cut off after it is damage as well.
  constexpr std::string_view kEnd = "IEND\xAE\x42\x60\x82";
  if (std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).rfind(kEnd) == std::string_view::npos)
    reject(file, "PNG", "it ends early");
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  struct Free {
    png_image& image;
    ~Free() { png_image_free(&image); }
  } const free{image};
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0) reject(file, "PNG", image.message);
  check_extents(file, "PNG", image.height, image.width);
  const bool colour = (image.format & PNG_FORMAT_FLAG_COLOR) != 0;
  image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  ImageFile picture{.shape = {image.height, image.width, colour ? 3 : 1}, .pixels = {}};
  picture.pixels.resize(static_cast<std::size_t>(picture.shape.size()));
  const png_color black{0, 0, 0};
  if (png_image_finish_read(&image, &black, picture.pixels.data(), 0, nullptr) == 0 || image.warning_or_error > 1)
    reject(file, "PNG", image.message);
  return picture;
}

// libjpeg ends the process on an error unless it is given another way out: back to where it was called, past C frames
// alone.
struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];

  static void leave(j_common_ptr info) {
    auto* errors = reinterpret_cast<JpegErrors*>(info->err);
    info->err->format_message(info, errors->message);
    std::longjmp(errors->back, 1);
  }
  // A warning says that data are damaged or missing; -1 is its level.
  static void emit(j_common_ptr info, int level) {
    if (level < 0) leave(info);
  }
};

void limit_scans(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  std::snprintf(errors->message, sizeof errors->message, "more than %d scans", kMostScans);
  std::longjmp(errors->back, 1);
}

// What the C library does between the header and the last row, so that a jump out of it passes no destructor. `rows`
// is called once the extents are known and returns where row 0 goes, or null to give up.
struct JpegTarget {
  ImageFile* picture;
  bool fits = true;
};
bool decode_rows(jpeg_decompress_struct& info, JpegErrors& errors, std::span<const std::uint8_t> bytes,
                 std::uint8_t* (*rows)(const jpeg_decompress_struct&, JpegTarget&), JpegTarget& target) {
  if (setjmp(errors.back) != 0) return false;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes.data(), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = info.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
  std::uint8_t* row = rows(info, target);
  if (row == nullptr) return true;
  jpeg_start_decompress(&info);
  while (info.output_scanline < info.output_height) {
    jpeg_read_scanlines(&info, &row, 1);
    row += static_cast<std::size_t>(info.output_width) * static_cast<std::size_t>(info.output_components);
  }
  jpeg_finish_decompress(&info);
  return true;
}

std::uint8_t* make_room(const jpeg_decompress_struct& info, JpegTarget& target) {
  const Index height = info.image_height, width = info.image_width;
  target.picture->shape = {height, width, info.out_color_space == JCS_GRAYSCALE ? 1 : 3};
  target.fits = height > 0 && width > 0 && height <= kMostImagePixels / width;
  if (!target.fits) return nullptr;
  target.picture->pixels.resize(static_cast<std::size_t>(target.picture->shape.size()));
  return target.picture->pixels.data();
}

ImageFile decode_jpeg(const std::string& file, std::span<const std::uint8_t> bytes) {
  jpeg_decompress_struct info{};
  JpegErrors errors{};
  info.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = JpegErrors::leave;
  errors.manager.emit_message = JpegErrors::emit;
  jpeg_progress_mgr progress{};
  progress.progress_monitor = limit_scans;
  ImageFile picture;
  JpegTarget target{&picture};
  info.progress = &progress;
  const bool whole = decode_rows(info, errors, bytes, make_room, target);
  jpeg_destroy_decompress(&info);
  if (!whole) reject(file, "JPEG", errors.message);
  if (!target.fits) check_extents(file, "JPEG", picture.shape[0], picture.shape[1]);
  return picture;
}

// The numbers of a Netpbm header, and in P2 and P3 of the picture: decimal, apart by white space, # to the end of a
// line a comment.
class NetpbmReader {
 public:
  NetpbmReader(const std::string& file, std::span<const std::uint8_t> bytes)
      : file_(file), text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

  Index number() {
    while (!text_.empty() && (std::isspace(static_cast<unsigned char>(text_.front())) || text_.front() == '#')) {
      const bool comment = text_.front() == '#';
      text_.remove_prefix(comment ? std::min(text_.find('\n'), text_.size()) : 1);
    }
    Index value = -1;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) reject(file_, "Netpbm", "a number is missing");
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return value;
  }
  std::string_view& rest() { return text_; }

 private:
  const std::string& file_;
  std::string_view text_;
};

ImageFile decode_netpbm(const std::string& file, std::span<const std::uint8_t> bytes) {
  const char kind = static_cast<char>(bytes[1]);
  const bool colour = kind == '3' || kind == '6', binary = kind == '5' || kind == '6';
  NetpbmReader reader(file, bytes.subspan(2));
  const Index width = reader.number(), height = reader.number(), most = reader.number();
  check_extents(file, "Netpbm", height, width);
  if (most < 1 || most > 65'535) reject(file, "Netpbm", fmt::format("numbers up to {}, expected 1 to 65535", most));
  ImageFile picture{.shape = {height, width, colour ? 3 : 1}, .pixels = {}};
  const auto count = static_cast<std::size_t>(picture.shape.size());
  const std::size_t size = most > 255 ? 2 : 1;  // bytes of a number, the first the higher
  if (binary && reader.rest().size() != size * count + 1)
    reject(file, "Netpbm",
           fmt::format("{} bytes of pixels, expected {}", std::max<std::size_t>(reader.rest().size(), 1) - 1,
                       size * count));
  // A number in text takes two bytes or more: no picture is larger than its file.
  if (!binary && reader.rest().size() / 2 + 1 < count) reject(file, "Netpbm", "it ends early");
  picture.pixels.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    Index value = 0;
    if (binary) {
      for (const char byte : reader.rest().substr(1 + size * i, size))
        value = 256 * value + static_cast<std::uint8_t>(byte);
    } else {
      value = reader.number();
    }
    if (value > most) reject(file, "Netpbm", fmt::format("pixel {} is {}, expected {} at most", i, value, most));
    picture.pixels[i] = static_cast<std::uint8_t>((value * 255 + most / 2) / most);
  }
  return picture;
}

}  // namespace

bool is_image_name(const std::filesystem::path& path) {
  constexpr std::array kExtensions = {".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".pnm"};
  return std::ranges::find(kExtensions, lower_case(path.extension().string())) != kExtensions.end();
}

ImageFile read_image(const std::filesystem::path& path) {
  const InputFile input(path);
  const std::string file = path.string();
  if (input.size() > kMostImageBytes)
    throw FileError(fmt::format("{}: {} bytes, expected a picture of {} at most", file, input.size(), kMostImageBytes));
  std::vector<std::uint8_t> bytes(input.size());
  input.read(0, bytes);
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 8));
  if (start.starts_with("\x89PNG\r\n\x1a\n")) return decode_png(file, bytes);
  if (start.starts_with("\xFF\xD8\xFF")) return decode_jpeg(file, bytes);
  if (start.size() > 2 && start[0] == 'P' && std::string_view("2356").find(start[1]) != std::string_view::npos)
    return decode_netpbm(file, bytes);
  throw FileError(fmt::format("{}: expected a PNG, JPEG, PPM or PGM picture, found another file", file));
}

}  // namespace slopewise
