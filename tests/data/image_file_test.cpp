#include "slopewise/data/image_file.hpp"

#include <gmock/gmock.h>
#include <png.h>

#include <cstdio>

#include <jpeglib.h>

#include "support.hpp"

namespace slopewise {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

class ImageFileTest : public FileTest {
 protected:
  Bytes png(Index height, Index width, png_uint_32 format, const void* pixels) const {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.height = static_cast<png_uint_32>(height);
    image.width = static_cast<png_uint_32>(width);
    image.format = format;
    const auto path = (directory_ / "written.png").string();
    EXPECT_NE(png_image_write_to_file(&image, path.c_str(), 0, pixels, 0, nullptr), 0) << image.message;
    return file_bytes(path);
  }
  // All pixels of one level.
  static Bytes jpeg(int height, int width, bool colour, std::uint8_t level, bool progressive = false) {
    jpeg_compress_struct info{};
    jpeg_error_mgr errors{};
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    unsigned char* out = nullptr;
    unsigned long size = 0;
    jpeg_mem_dest(&info, &out, &size);
    info.image_height = static_cast<JDIMENSION>(height);
    info.image_width = static_cast<JDIMENSION>(width);
    info.input_components = colour ? 3 : 1;
    info.in_color_space = colour ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&info);
    if (progressive) jpeg_simple_progression(&info);
    jpeg_start_compress(&info, TRUE);
    Bytes row(static_cast<std::size_t>(width * info.input_components), level);
    for (int y = 0; y < height; ++y) {
      JSAMPROW pointer = row.data();
      jpeg_write_scanlines(&info, &pointer, 1);
    }
    jpeg_finish_compress(&info);
    const Bytes bytes(out, out + size);
    jpeg_destroy_compress(&info);
    std::free(out);
    return bytes;
  }
  std::string error(const Bytes& bytes) const {
    return file_error([&] { read_image(put("picture", bytes)); });
  }
};

TEST_F(ImageFileTest, ReadsPngOfEveryKind) {
  const Bytes grey = {0, 50, 100, 150, 200, 255}, colour = {1, 2, 3, 40, 50, 60};
  const ImageFile read_grey = read_image(put("g", png(2, 3, PNG_FORMAT_GRAY, grey.data())));
  EXPECT_EQ(read_grey.shape, (Shape{2, 3, 1}));
  EXPECT_EQ(read_grey.pixels, grey);
  const ImageFile read_colour = read_image(put("c", png(1, 2, PNG_FORMAT_RGB, colour.data())));
  EXPECT_EQ(read_colour.shape, (Shape{1, 2, 3}));
  EXPECT_EQ(read_colour.pixels, colour);
  // What is transparent lies on black.
  const Bytes clear = {9, 9, 9, 255, 9, 9, 9, 0};
  EXPECT_THAT(read_image(put("a", png(1, 2, PNG_FORMAT_RGBA, clear.data()))).pixels, ElementsAre(9, 9, 9, 0, 0, 0));
}

TEST_F(ImageFileTest, ReadsJpegOfEveryKind) {
  for (const bool progressive : {false, true}) {
    const ImageFile grey = read_image(put("g", jpeg(8, 16, false, 100, progressive)));
    EXPECT_EQ(grey.shape, (Shape{8, 16, 1}));
    EXPECT_THAT(grey.pixels, Each(testing::AllOf(testing::Ge(98), testing::Le(102))));
    EXPECT_EQ(read_image(put("c", jpeg(9, 7, true, 30, progressive))).shape, (Shape{9, 7, 3}));
  }
}

TEST_F(ImageFileTest, ReadsNetpbm) {
  const auto text = [&](std::string_view content) { return put("p", Bytes(content.begin(), content.end())); };
  EXPECT_THAT(read_image(text("P2\n# a\n2 1 # b\n3\n0 3\n")).pixels, ElementsAre(0, 255));
  EXPECT_THAT(read_image(text("P3 1 1 255 7 8 9")).pixels, ElementsAre(7, 8, 9));
  EXPECT_THAT(read_image(text("P5 2 1 255 ab")).pixels, ElementsAre('a', 'b'));
  EXPECT_EQ(read_image(text("P6 1 1 255 abc")).shape, (Shape{1, 1, 3}));
  // 16 bits become 8, the first byte is the higher.
  using std::string_view_literals::operator""sv;
  EXPECT_THAT(read_image(text("P5 3 1 65535 \0\0\x80\0\xFF\xFF"sv)).pixels, ElementsAre(0, 128, 255));
  EXPECT_THAT(read_image(text("P5 2 1 256 \1\0\0\x80"sv)).pixels, ElementsAre(255, 128));
  EXPECT_THAT(read_image(text("P6 1 1 1023 \3\xFF\0\0\2\0"sv)).pixels, ElementsAre(255, 0, 128));
  EXPECT_THAT(read_image(text("P2 2 1 65535 0 32768")).pixels, ElementsAre(0, 128));
  for (const std::string_view wrong :
       {"P5 1 1 65535 a"sv, "P5 1 1 65535 abc"sv, "P5 1 1 65536 ab"sv, "P5 1 1 300 \2\0"sv})
    EXPECT_NE(error(Bytes(wrong.begin(), wrong.end())), "") << wrong;
}

TEST_F(ImageFileTest, EveryTruncationIsAnError) {
  const Bytes grey(48, 77);
  const std::string netpbm = "P5 4 2 255 abcdefgh";
  for (const Bytes& whole : {png(6, 8, PNG_FORMAT_GRAY, grey.data()), jpeg(16, 16, true, 120),
                             jpeg(8, 8, false, 3, true), Bytes(netpbm.begin(), netpbm.end())}) {
    for (std::size_t length = 0; length + 2 < whole.size(); ++length) {
      EXPECT_NE(error(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length))), "") << length;
    }
  }
}

TEST_F(ImageFileTest, FlippedBitsAreAnErrorOrAPicture) {
  RandomStream random(3);
  const Bytes grey(48, 77);
  for (const Bytes& whole :
       {png(6, 8, PNG_FORMAT_GRAY, grey.data()), jpeg(16, 16, true, 120), jpeg(8, 8, false, 3, true)}) {
    int errors = 0;
    for (int i = 0; i < 500; ++i) {
      errors += !file_error([&] {
                   const ImageFile picture = read_image(put("f", damaged(whole, random)));
                   EXPECT_EQ(std::ssize(picture.pixels), picture.shape.size());
                 }).empty();
    }
    EXPECT_GT(errors, 50);
  }
}

TEST_F(ImageFileTest, BelievesNoClaimedSize) {
  Bytes claim = png(1, 1, PNG_FORMAT_GRAY, "x");
  claim[16] = 0x7F, claim[20] = 0x7F;  // the header's width and height
  EXPECT_THAT(error(claim), HasSubstr("not a whole PNG picture"));
  const std::string netpbm = "P6 60000 60000 255 abc";
  EXPECT_THAT(error(Bytes(netpbm.begin(), netpbm.end())), HasSubstr("60000×60000 pixels"));
  Bytes large = jpeg(8, 8, true, 1);
  const Bytes frame = {0xFF, 0xC0};
  const auto at = std::search(large.begin(), large.end(), frame.begin(), frame.end());
  at[5] = at[7] = 0xFF, at[6] = at[8] = 0;  // its height and width
  EXPECT_THAT(error(large), HasSubstr("not a whole JPEG picture: 65280×65280 pixels"));
  EXPECT_THAT(error({'G', 'I', 'F', '8'}), HasSubstr("expected a PNG, JPEG, PPM or PGM picture"));
  EXPECT_THAT(file_error([] { read_image("/dev/zero"); }), HasSubstr("found a device"));
}

}  // namespace
}  // namespace slopewise
