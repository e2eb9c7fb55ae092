#include "data/detail/image_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/error.hpp"
#include "support/image_files.hpp"

namespace switchyard::data::detail {
namespace {

using test::Bytes;
using test::decoded_jpeg;
using test::Image;
using test::jpeg_bytes;
using test::png_bytes;
using testing::AllOf;
using testing::HasSubstr;

Bytes pixels_of(const Bytes& file, index_t channels) {
  const Vector<std::uint8_t> pixels = image_pixels(Span<const std::uint8_t>(file), "a.png", channels);
  return {pixels.begin(), pixels.end()};
}

// As sizes and channels in a line.
std::string shape_of(const Bytes& file) {
  const ImageShape shape = image_shape(Span<const std::uint8_t>(file), "a.png");
  return std::to_string(shape.channels) + " x " + std::to_string(shape.height) + " x " +
         std::to_string(shape.width);
}

// What the libraries print would be in the output of the tests.
std::string failure(const Bytes& file, index_t channels = 3) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  std::string message = "no error";
  try {
    pixels_of(file, channels);
  } catch (const DataError& error) {
    message = error.what();
    EXPECT_THAT(message, AllOf(HasSubstr("a.png"), HasSubstr("; ")));
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr() + testing::internal::GetCapturedStdout(), "");
  return message;
}

// ITU-R BT.601, in whole numbers.
std::uint8_t grey_of(int red, int green, int blue) {
  return static_cast<std::uint8_t>((299 * red + 587 * green + 114 * blue + 500) / 1000);
}

TEST(ImageFile, gives_the_numbers_of_a_png) {
  for (const bool interlaced : {false, true}) {
    const Image colour = Image::smooth(3, 9, 7, 1), grey = Image::smooth(1, 5, 11, 2);
    EXPECT_EQ(shape_of(png_bytes(colour)), "3 x 9 x 7");
    EXPECT_EQ(shape_of(png_bytes(grey)), "1 x 5 x 11");
    EXPECT_EQ(pixels_of(png_bytes(colour, {.interlaced = interlaced}), 3), colour.planes());
    EXPECT_EQ(pixels_of(png_bytes(grey, {.interlaced = interlaced}), 1), grey.planes());
  }
}

TEST(ImageFile, makes_three_channels_of_one_and_one_of_three) {
  const Image grey{1, 1, 3, {0, 77, 255}};
  EXPECT_EQ(pixels_of(png_bytes(grey), 3), (Bytes{0, 77, 255, 0, 77, 255, 0, 77, 255}));
  const Image colour{3, 2, 2, {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}};
  EXPECT_EQ(pixels_of(png_bytes(colour), 1), (Bytes{76, 150, 29, 255}));
  const Image many = Image::smooth(3, 16, 16, 3);
  const Bytes found = pixels_of(png_bytes(many), 1);
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_EQ(found[i], grey_of(many.pixels[3 * i], many.pixels[3 * i + 1], many.pixels[3 * i + 2])) << i;
}

TEST(ImageFile, passes_transparency_over) {
  const Image grey{2, 1, 2, {10, 0, 20, 255}}, colour{4, 1, 2, {1, 2, 3, 0, 4, 5, 6, 128}};
  EXPECT_EQ(shape_of(png_bytes(grey)), "1 x 1 x 2");
  EXPECT_EQ(pixels_of(png_bytes(grey), 1), (Bytes{10, 20}));
  EXPECT_EQ(pixels_of(png_bytes(grey), 3), (Bytes{10, 20, 10, 20, 10, 20}));
  EXPECT_EQ(shape_of(png_bytes(colour)), "3 x 1 x 2");
  EXPECT_EQ(pixels_of(png_bytes(colour), 3), (Bytes{1, 4, 2, 5, 3, 6}));
  // One colour of an image may be transparent.
  const Image plain{1, 1, 2, {10, 20}}, red{3, 1, 2, {9, 0, 0, 8, 1, 2}};
  EXPECT_EQ(pixels_of(png_bytes(plain, {.transparent = {0, 10}}), 1), (Bytes{10, 20}));
  EXPECT_EQ(pixels_of(png_bytes(red, {.transparent = {0, 9, 0, 0, 0, 0}}), 3), (Bytes{9, 8, 0, 1, 0, 2}));
}

TEST(ImageFile, looks_up_the_colours_of_a_palette) {
  const Bytes palette = {255, 0, 0, 0, 128, 0, 7, 8, 9};
  for (const int bits : {2, 4, 8}) {
    const Image places{1, 2, 2, {0, 1, 2, 0}};
    for (const Bytes& transparent : {Bytes{}, Bytes{0, 100}}) {
      const Bytes file = png_bytes(places, {.bits = bits, .palette = palette, .transparent = transparent});
      EXPECT_EQ(shape_of(file), "3 x 2 x 2");
      EXPECT_EQ(pixels_of(file, 3), (Bytes{255, 0, 7, 255, 0, 128, 8, 0, 0, 0, 9, 0}));
      EXPECT_EQ(pixels_of(file, 1), (Bytes{76, 75, 8, 76}));
    }
  }
}

TEST(ImageFile, scales_fewer_and_more_bits_to_eight) {
  EXPECT_EQ(pixels_of(png_bytes({1, 1, 9, {0, 1, 0, 1, 1, 1, 0, 0, 1}}, {.bits = 1}), 1),
            (Bytes{0, 255, 0, 255, 255, 255, 0, 0, 255}));
  EXPECT_EQ(pixels_of(png_bytes({1, 1, 4, {0, 1, 2, 3}}, {.bits = 2}), 1), (Bytes{0, 85, 170, 255}));
  EXPECT_EQ(pixels_of(png_bytes({1, 1, 3, {0, 5, 15}}, {.bits = 4}), 1), (Bytes{0, 85, 255}));
  // value / 257, rounded: 128 and 129 are on either side of a half, 0xff7f of 254.5.
  const Image wide{1, 1, 6, {0, 0, 0, 128, 0, 129, 0xff, 0x7e, 0xff, 0x7f, 0xff, 0xff}};
  EXPECT_EQ(pixels_of(png_bytes(wide, {.bits = 16}), 1), (Bytes{0, 0, 1, 254, 255, 255}));
}

TEST(ImageFile, gives_what_libjpeg_decodes) {
  for (const bool progressive : {false, true}) {
    const Image colour = Image::smooth(3, 21, 34, 1), grey = Image::smooth(1, 17, 8, 2);
    const Bytes of_colour = jpeg_bytes(colour, {.quality = 100, .progressive = progressive});
    const Bytes of_grey = jpeg_bytes(grey, {.quality = 100, .progressive = progressive});
    EXPECT_EQ(shape_of(of_colour), "3 x 21 x 34");
    EXPECT_EQ(shape_of(of_grey), "1 x 17 x 8");
    for (const Bytes& file : {of_colour, of_grey}) {
      EXPECT_EQ(pixels_of(file, 1), decoded_jpeg(file, 1));
      EXPECT_EQ(pixels_of(file, 3), (Image{3, 1, 1, decoded_jpeg(file, 3)}.planes()));
    }
    const auto expect_near = [](const Bytes& found, const Bytes& expected) {
      ASSERT_EQ(found.size(), expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2) << i;
    };
    expect_near(pixels_of(of_colour, 3), colour.planes());
    expect_near(pixels_of(of_grey, 1), grey.planes());
  }
}

TEST(ImageFile, reads_a_jpeg_that_holds_rgb) {
  const Image image = Image::smooth(3, 16, 16, 5);
  const Bytes file = jpeg_bytes(image, {.quality = 100, .in_rgb = true});
  EXPECT_EQ(shape_of(file), "3 x 16 x 16");
  const Bytes found = pixels_of(file, 3), expected = image.planes(), grey = pixels_of(file, 1);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1) << i;
  for (std::size_t i = 0; i < grey.size(); ++i)
    EXPECT_EQ(grey[i], grey_of(found[i], found[256 + i], found[512 + i])) << i;
}

TEST(ImageFile, cmyk_is_refused_by_its_name) {
  EXPECT_THAT(failure(jpeg_bytes(Image::smooth(4, 8, 8, 1))), AllOf(HasSubstr("CMYK"), HasSubstr("as RGB")));
}

TEST(ImageFile, what_is_no_image_is_refused) {
  EXPECT_THAT(failure({}), HasSubstr("is empty"));
  EXPECT_THAT(failure({'G', 'I', 'F', '8'}), HasSubstr("holds something else"));
  EXPECT_THAT(failure({0xff, 0xd8}), AllOf(HasSubstr("JPEG"), HasSubstr("remature end")));
  EXPECT_THAT(failure({0x89, 'P', 'N', 'G'}), AllOf(HasSubstr("PNG"), HasSubstr("ends within")));
}

TEST(ImageFile, a_file_that_ends_anywhere_too_early_is_refused) {
  const Image image = Image::smooth(3, 12, 12, 3);
  for (const Bytes& whole : {jpeg_bytes(image), jpeg_bytes(image, {.progressive = true}), png_bytes(image),
                             png_bytes(image, {.interlaced = true})}) {
    ASSERT_EQ(failure(whole), "no error");
    for (std::size_t size = 4; size < whole.size(); ++size)
      ASSERT_THAT(failure(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))),
                  HasSubstr("cannot be read as a"))
          << size << " of " << whole.size();
  }
}

// Of a PNG each byte is under a sum of four bytes, but those of a zlib stream's that it does not need.
TEST(ImageFile, a_damaged_png_is_refused) {
  const Bytes whole = png_bytes(Image::smooth(3, 12, 12, 3));
  for (std::size_t at = 8; at < whole.size(); ++at) {
    Bytes damaged = whole;
    damaged[at] ^= 0x10;
    EXPECT_THAT(failure(damaged), HasSubstr("a.png")) << at;
  }
}

TEST(ImageFile, a_damaged_jpeg_is_refused_where_libjpeg_sees_it) {
  const Bytes whole = jpeg_bytes(Image::smooth(3, 64, 64, 3), {.quality = 100});
  Bytes cut = whole;  // the last pixels, but not the mark of the end
  cut.erase(cut.end() - 200, cut.end() - 2);
  EXPECT_THAT(failure(cut), HasSubstr("premature end of data segment"));
  int refused = 0;
  for (std::size_t at = 2; at < whole.size(); ++at) {  // nothing is read beyond, and nothing printed
    Bytes damaged = whole;
    damaged[at] ^= 0xff;
    refused += failure(damaged) != "no error" ? 1 : 0;
  }
  EXPECT_GT(refused, 500);
}

// The sizes stand in the header: 2 x 2 bytes in that of a JPEG's frame, 2 x 4 in a PNG's.
TEST(ImageFile, an_absurd_size_costs_no_memory) {
  Bytes jpeg = jpeg_bytes(Image::smooth(3, 8, 8, 1));
  const Bytes frame = {0xff, 0xc0, 0, 17, 8};
  const auto at = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end());
  ASSERT_NE(at, jpeg.end());
  std::copy_n(Bytes{0xff, 0, 0xff, 0}.begin(), 4, at + 5);
  EXPECT_THAT(failure(jpeg), AllOf(HasSubstr("65280 x 65280 pixels"), HasSubstr("2^28")));
  // Beside a checksum that is right.
  const Image flat{1, 1, 1'000'000, Bytes(1'000'000)};
  EXPECT_THAT(failure(png_bytes(flat)), HasSubstr("1 x 1000000 pixels"));
}

TEST(ImageFile, passes_without_end_are_refused) {
  Bytes file = jpeg_bytes(Image::smooth(1, 8, 8, 1), {.in_two_scans = true});
  const Bytes scan = {0xff, 0xda};
  const auto last = std::find_end(file.begin(), file.end(), scan.begin(), scan.end());
  const Bytes repeated(last, file.end() - 2);
  const auto repeat = [&](int times) {
    for (int i = 0; i < times; ++i) file.insert(file.end() - 2, repeated.begin(), repeated.end());
  };
  repeat(20);
  EXPECT_EQ(failure(file), "no error");
  repeat(600);
  EXPECT_THAT(failure(file), HasSubstr("more than 500 scans"));
}

}  // namespace
}  // namespace switchyard::data::detail
