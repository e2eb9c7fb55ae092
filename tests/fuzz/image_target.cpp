// JPEG and PNG images, grey, of colours and made smaller.
#include "data/detail/image_file.hpp"
#include "data/detail/image_scaling.hpp"
#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace switchyard;
  using namespace switchyard::data::detail;
  const Span<const std::uint8_t> file(data, size);
  return fuzz::may_be_refused([&] {
    const ImageShape shape = image_shape(file, "image");
    // What is bearable here may take more time and memory than an input has.
    if (shape.pixels() > 1 << 20) return;
    const auto pixels = image_pixels(file, "image", 1);
    image_pixels(file, "image", 3);
    resized(Span<const std::uint8_t>(pixels), {shape.height, shape.width}, {3, 5});
  });
}
