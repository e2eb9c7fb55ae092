#include "support/image_files.hpp"

#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

// Behind cstdio, which jpeglib.h needs.
#include <jpeglib.h>
#include <png.h>

namespace switchyard::test {
namespace {

void append_png(png_structp png, png_bytep bytes, std::size_t count) {
  auto* const file = static_cast<Bytes*>(png_get_io_ptr(png));
  file->insert(file->end(), bytes, bytes + count);
}

int kind_of(const Image& image, const PngForm& form) {
  if (!form.palette.empty()) return PNG_COLOR_TYPE_PALETTE;
  const int colour = image.channels >= 3 ? PNG_COLOR_MASK_COLOR : 0;
  return colour | (image.channels % 2 == 0 ? PNG_COLOR_MASK_ALPHA : 0);
}

void set_palette(png_structp png, png_infop info, const PngForm& form) {
  std::vector<png_color> colours(form.palette.size() / 3);
  for (std::size_t i = 0; i < colours.size(); ++i)
    colours[i] = {form.palette[3 * i], form.palette[3 * i + 1], form.palette[3 * i + 2]};
  png_set_PLTE(png, info, colours.data(), static_cast<int>(colours.size()));
}

void set_transparent(png_structp png, png_infop info, const Image& image, const PngForm& form) {
  if (!form.palette.empty()) {
    png_set_tRNS(png, info, form.transparent.data(), static_cast<int>(form.transparent.size()), nullptr);
    return;
  }
  const auto number = [&](std::size_t i) {
    return static_cast<png_uint_16>(form.transparent[2 * i] * 256 + form.transparent[2 * i + 1]);
  };
  // A place in a palette; red, green and blue; grey.
  const png_color_16 colour = image.channels == 1 ? png_color_16{0, 0, 0, 0, number(0)}
                                                  : png_color_16{0, number(0), number(1), number(2), 0};
  png_set_tRNS(png, info, nullptr, 0, &colour);
}

}  // namespace

Image Image::smooth(std::uint32_t channels, std::uint32_t height, std::uint32_t width, std::uint32_t seed) {
  Image image{channels, height, width, {}};
  for (std::uint32_t y = 0; y < height; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) {
      // Channels differ by constants: JPEG stores differences of colour at half the size.
      const double wave = 90 + 60 * std::sin(0.35 * x + seed) * std::cos(0.28 * y - seed);
      for (std::uint32_t c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<std::uint8_t>(wave + 25 * ((c + seed) % 4)));
    }
  }
  return image;
}

Bytes Image::planes() const {
  Bytes planes;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = c; i < pixels.size(); i += channels) planes.push_back(pixels[i]);
  }
  return planes;
}

Bytes png_bytes(const Image& image, const PngForm& form) {
  Bytes file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  if (setjmp(png_jmpbuf(png)) != 0) std::abort();  // libpng has said why
  png_set_write_fn(png, &file, append_png, nullptr);
  png_set_IHDR(png, info, image.width, image.height, form.bits, kind_of(image, form),
               form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (!form.palette.empty()) set_palette(png, info, form);
  if (!form.transparent.empty()) set_transparent(png, info, image, form);
  png_write_info(png, info);
  png_set_packing(png);  // a byte is a number, also where it has fewer bits
  const int passes = png_set_interlace_handling(png);
  const std::size_t row_bytes = image.pixels.size() / image.height;
  for (int pass = 0; pass < passes; ++pass) {
    for (std::size_t y = 0; y < image.height; ++y) png_write_row(png, image.pixels.data() + y * row_bytes);
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

Bytes jpeg_bytes(const Image& image, const JpegForm& form) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);  // a failure ends the test
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = image.width;
  info.image_height = image.height;
  info.input_components = static_cast<int>(image.channels);
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : image.channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  if (form.in_rgb) jpeg_set_colorspace(&info, JCS_RGB);
  jpeg_set_quality(&info, form.quality, TRUE);
  if (form.progressive) jpeg_simple_progression(&info);
  static constexpr jpeg_scan_info two_scans[] = {{1, {0}, 0, 0, 0, 0}, {1, {0}, 1, 63, 0, 0}};
  if (form.in_two_scans) info.scan_info = two_scans, info.num_scans = 2;
  jpeg_start_compress(&info, TRUE);
  const std::size_t row_bytes = std::size_t{image.width} * image.channels;
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.pixels.data() + info.next_scanline * row_bytes);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  Bytes file(bytes, bytes + size);
  jpeg_destroy_compress(&info);
  std::free(bytes);
  return file;
}

Bytes decoded_jpeg(const Bytes& file, int channels) {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, file.data(), file.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&info);
  Bytes pixels(std::size_t{info.output_width} * info.output_height * static_cast<std::size_t>(channels));
  const std::size_t row_bytes = std::size_t{info.output_width} * static_cast<std::size_t>(channels);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = pixels.data() + info.output_scanline * row_bytes;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return pixels;
}

}  // namespace switchyard::test
