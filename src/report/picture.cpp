#include "report/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/contract.hpp"
#include "base/partition.hpp"
#include "base/span.hpp"
#include "files/png.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

constexpr index_t least_side = 4;

// The mean of the numbers that one value of a smaller picture stands for: rows and columns [from, to).
double mean_of(const float* plane, index_t width, IndexRange rows, IndexRange columns) {
  double sum = 0;
  for (index_t y = rows.begin; y < rows.end; ++y) {
    for (index_t x = columns.begin; x < columns.end; ++x) sum += static_cast<double>(plane[y * width + x]);
  }
  return sum / static_cast<double>((rows.end - rows.begin) * (columns.end - columns.begin));
}

}  // namespace

Picture picture_of(const std::vector<float>& numbers, index_t channels, index_t height, index_t width,
                   std::optional<Tones> tones, index_t most_side) {
  if ((channels != 1 && channels != 3) || std::min(height, width) < least_side) return {};
  SY_EXPECTS(std::ssize(numbers) == channels * height * width, "{} numbers are no picture of {} x {} x {}",
             numbers.size(), channels, height, width);
  const index_t factor = (std::max(height, width) + most_side - 1) / most_side;
  Picture picture{channels, std::max<index_t>(height / factor, 1), std::max<index_t>(width / factor, 1), {}};
  std::vector<double> means;  // [height][width][channels]
  for (index_t y = 0; y < picture.height; ++y) {
    for (index_t x = 0; x < picture.width; ++x) {
      for (index_t c = 0; c < channels; ++c) {
        means.push_back(mean_of(numbers.data() + c * height * width, width, {y * factor, (y + 1) * factor},
                                {x * factor, (x + 1) * factor}));
      }
    }
  }
  if (!tones) {
    const auto [low, high] = std::ranges::minmax(means);
    tones = Tones{low, high};
  }
  for (const double mean : means) {
    const double share =
        tones->white > tones->black ? (mean - tones->black) / (tones->white - tones->black) : 0;
    picture.values.push_back(
        std::isfinite(share) ? static_cast<std::uint8_t>(std::lround(255 * std::clamp(share, 0.0, 1.0))) : 0);
  }
  return picture;
}

std::string png_of(const Picture& picture) {
  return files::png_of(
      {.width = picture.width,
       .height = picture.height,
       .colour = picture.channels == 1 ? files::PngColour::grey : files::PngColour::red_green_blue,
       .values = {reinterpret_cast<const char*>(picture.values.data()), picture.values.size()}});
}

std::string base64_of(std::string_view bytes) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(bytes.size() - i, 3);
    std::uint32_t group = 0;
    for (std::size_t b = 0; b < 3; ++b)
      group = group << 8 | (b < count ? static_cast<unsigned char>(bytes[i + b]) : 0U);
    for (std::size_t l = 0; l < 4; ++l) out += l <= count ? letters[group >> (18 - 6 * l) & 63] : '=';
  }
  return out;
}

std::string picture_html(const Picture& picture, index_t side, std::string_view text) {
  return fmt::format(R"(<img src="data:image/png;base64,{}" width="{}" height="{}" alt="{}" title="{}">)",
                     base64_of(png_of(picture)), side,
                     std::max<index_t>(side * picture.height / picture.width, 1), escape(text), escape(text));
}

}  // namespace switchyard::report
