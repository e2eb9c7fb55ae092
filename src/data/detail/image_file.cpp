#include "data/detail/image_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include <jpeglib.h>
#include <png.h>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/unique_handle.hpp"

namespace switchyard::data::detail {
namespace {

[[noreturn]] void fail(const std::string& name, std::string_view format, std::string_view reason) {
  throw DataError(
      fmt::format("{} cannot be read as {} ({}); it is damaged or truncated: write it again, or remove it",
                  name, format, reason));
}

void expect_bearable(const ImageShape& shape, const std::string& name) {
  if (shape.height <= longest_image_side && shape.width <= longest_image_side &&
      shape.channels * shape.pixels() <= most_image_bytes)
    return;
  throw DataError(fmt::format(
      "{} has {} x {} pixels (a side has 65,535 at most, and an image 2^28 bytes); make it smaller, or "
      "remove it",
      name, shape.height, shape.width));
}

// Both libraries leave a failure by longjmp, which skips destructors: `steps` must own nothing. False if they
// failed.
template <class Steps>
bool ends_well(std::jmp_buf& escape, const Steps& steps) {
  if (setjmp(escape) != 0) return false;  // NOLINT(cert-err52-cpp): what the libraries ask for
  steps();
  return true;
}

// libjpeg calls through the first member, and hands it back.
struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf escape;
  std::array<char, JMSG_LENGTH_MAX> message;
};

[[noreturn]] void leave_jpeg(j_common_ptr info) {
  auto* const errors = reinterpret_cast<JpegErrors*>(info->err);
  errors->manager.format_message(info, errors->message.data());
  std::longjmp(errors->escape, 1);  // NOLINT(cert-err52-cpp)
}

// Level -1 is a warning, such as the end of a file before that of the image: the pixels are then made up.
void hear_jpeg(j_common_ptr info, int level) {
  if (level < 0) leave_jpeg(info);
}

// A small file can ask for any number of passes over a large image; real ones have about ten.
void limit_scans(j_common_ptr info) {
  constexpr int most_scans = 500;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= most_scans) return;
  auto* const errors = reinterpret_cast<JpegErrors*>(info->err);
  std::snprintf(errors->message.data(), errors->message.size(), "it has more than %d scans", most_scans);
  std::longjmp(errors->escape, 1);  // NOLINT(cert-err52-cpp)
}

struct JpegTraits {
  using Handle = j_decompress_ptr;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle handle) noexcept { jpeg_destroy_decompress(handle); }
};

class Jpeg {
 public:
  // Reads the header.
  Jpeg(Span<const std::uint8_t> file, const std::string& name) : name_(name) {
    info_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = leave_jpeg;
    errors_.manager.emit_message = hear_jpeg;
    progress_.progress_monitor = limit_scans;
    run([&] {
      jpeg_create_decompress(&info_);
      info_.progress = &progress_;
      jpeg_mem_src(&info_, file.data(), file.size());
      jpeg_read_header(&info_, TRUE);
    });
    const bool is_grey = info_.jpeg_color_space == JCS_GRAYSCALE;
    if (!is_grey && info_.jpeg_color_space != JCS_YCbCr && info_.jpeg_color_space != JCS_RGB)
      throw DataError(fmt::format(
          "{} is a JPEG image of {} channels that are no colours of light{} (grey, YCbCr and RGB are read); write "
          "it anew as RGB",
          name, info_.num_components, info_.num_components == 4 ? ": CMYK, for print" : ""));
    shape_ = {is_grey ? 1 : 3, info_.image_height, info_.image_width};
    expect_bearable(shape_, name);
  }

  const ImageShape& shape() const { return shape_; }
  index_t decoded_channels(index_t channels) const { return channels; }  // the library makes them

  // height x width x channels.
  void decode(index_t channels, std::uint8_t* rows) {
    const index_t row_bytes = shape_.width * channels;
    run([&] {
      info_.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
      jpeg_start_decompress(&info_);
      while (info_.output_scanline < info_.output_height) {
        JSAMPROW row = rows + static_cast<index_t>(info_.output_scanline) * row_bytes;
        jpeg_read_scanlines(&info_, &row, 1);
      }
      jpeg_finish_decompress(&info_);  // to the mark of the end
    });
  }

 private:
  template <class Steps>
  void run(const Steps& steps) {
    if (!ends_well(errors_.escape, steps)) fail(name_, "a JPEG image", errors_.message.data());
  }

  const std::string& name_;
  JpegErrors errors_{};
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct info_{};
  UniqueHandle<JpegTraits> owner_{&info_};  // what is all zero is closed, too
  ImageShape shape_;
};

struct PngHandle {
  png_struct* png = nullptr;
  png_info* info = nullptr;

  bool operator==(const PngHandle&) const = default;
};
struct PngTraits {
  using Handle = PngHandle;
  static Handle none() noexcept { return {}; }
  static void close(Handle handle) noexcept { png_destroy_read_struct(&handle.png, &handle.info, nullptr); }
};

// What is left of the file, and why reading it failed.
struct PngFile {
  const std::uint8_t* at;
  std::size_t left;
  std::array<char, 200> message;
};

[[noreturn]] void leave_png(png_structp png, png_const_charp message) {
  auto* const file = static_cast<PngFile*>(png_get_error_ptr(png));
  std::snprintf(file->message.data(), file->message.size(), "%s", message);
  png_longjmp(png, 1);
}

// Most are of profiles and of texts, which nothing here reads; damage to pixels is an error.
void ignore_png(png_structp /*png*/, png_const_charp /*message*/) {}

void read_png(png_structp png, png_bytep out, std::size_t count) {
  auto* const file = static_cast<PngFile*>(png_get_io_ptr(png));
  if (count > file->left) leave_png(png, "the file ends within the image");
  std::memcpy(out, file->at, count);
  file->at += count;
  file->left -= count;
}

class Png {
 public:
  // Reads the header.
  Png(Span<const std::uint8_t> file, const std::string& name)
      : name_(name), file_{file.data(), file.size(), {}} {
    png_struct* const png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &file_, leave_png, ignore_png);
    if (png == nullptr) throw std::bad_alloc();
    handle_ = UniqueHandle<PngTraits>({png, png_create_info_struct(png)});
    if (handle_.get().info == nullptr) throw std::bad_alloc();
    png_set_read_fn(png, &file_, read_png);
    run([this] {
      png_set_user_limits(handle_.get().png, 0x7fffffff, 0x7fffffff);  // what is too large is said below
      png_read_info(handle_.get().png, handle_.get().info);
    });
    const auto [of, info] = handle_.get();
    const bool is_grey = (png_get_color_type(of, info) & PNG_COLOR_MASK_COLOR) == 0;
    shape_ = {is_grey ? 1 : 3, png_get_image_height(of, info), png_get_image_width(of, info)};
    expect_bearable(shape_, name);
  }

  const ImageShape& shape() const { return shape_; }
  index_t decoded_channels(index_t /*channels*/) const { return shape_.channels; }

  // height x width x shape().channels.
  void decode(index_t /*channels*/, std::uint8_t* rows) {
    const auto [png, info] = handle_.get();
    const index_t row_bytes = shape_.width * shape_.channels;
    run([&, png = png, info = info] {
      png_set_palette_to_rgb(png);
      png_set_expand_gray_1_2_4_to_8(png);
      png_set_scale_16(png);
      png_set_strip_alpha(png);
      const int passes = png_set_interlace_handling(png);
      png_read_update_info(png, info);
      if (std::cmp_not_equal(png_get_rowbytes(png, info), row_bytes))
        leave_png(png, "its rows have another length");
      for (int pass = 0; pass < passes; ++pass) {
        for (index_t y = 0; y < shape_.height; ++y) png_read_row(png, rows + y * row_bytes, nullptr);
      }
      png_read_end(png, nullptr);
    });
  }

 private:
  template <class Steps>
  void run(const Steps& steps) {
    if (!ends_well(png_jmpbuf(handle_.get().png), steps)) fail(name_, "a PNG image", file_.message.data());
  }

  const std::string& name_;
  PngFile file_;
  UniqueHandle<PngTraits> handle_;
  ImageShape shape_;
};

// use(an open Jpeg or Png).
template <class Use>
auto with_image(Span<const std::uint8_t> file, const std::string& name, const Use& use) {
  const auto begins_with = [&](std::string_view mark) {
    return file.size() >= mark.size() && std::memcmp(file.data(), mark.data(), mark.size()) == 0;
  };
  if (begins_with("\xff\xd8")) {
    Jpeg jpeg(file, name);
    return use(jpeg);
  }
  if (begins_with("\x89PNG")) {
    Png png(file, name);
    return use(png);
  }
  throw DataError(
      fmt::format("{} {} (an image begins as a JPEG or PNG file does); write it again, or remove it", name,
                  file.empty() ? "is empty" : "holds something else"));
}

// From pixel after pixel to channel after channel, of which there are as many or others.
Vector<std::uint8_t> in_planes(Span<const std::uint8_t> rows, index_t channels_of_rows, index_t channels) {
  const index_t pixels = std::ssize(rows) / channels_of_rows;
  Vector<std::uint8_t> planes(channels * pixels);
  for (index_t i = 0; i < pixels; ++i) {
    const std::uint8_t* const pixel = rows.data() + i * channels_of_rows;
    if (channels_of_rows == 3 && channels == 1) {
      // The weights of libjpeg, in 2^-16.
      planes[i] =
          static_cast<std::uint8_t>((19595u * pixel[0] + 38470u * pixel[1] + 7471u * pixel[2] + 32768u) >> 16);
      continue;
    }
    for (index_t c = 0; c < channels; ++c) planes[c * pixels + i] = pixel[std::min(c, channels_of_rows - 1)];
  }
  return planes;
}

}  // namespace

ImageShape image_shape(Span<const std::uint8_t> file, const std::string& name) {
  return with_image(file, name, [](const auto& image) { return image.shape(); });
}

Vector<std::uint8_t> image_pixels(Span<const std::uint8_t> file, const std::string& name, index_t channels) {
  SY_EXPECTS(channels == 1 || channels == 3, "{} channels", channels);
  return with_image(file, name, [&](auto& image) {
    const index_t decoded = image.decoded_channels(channels);
    Vector<std::uint8_t> rows(decoded * image.shape().pixels());
    image.decode(channels, rows.data());
    return decoded == 1 && channels == 1 ? std::move(rows) : in_planes(rows, decoded, channels);
  });
}

}  // namespace switchyard::data::detail
