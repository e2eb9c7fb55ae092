// data.prepare.
#include "data/detail/prepared_images.hpp"

#include "support/cifar_files.hpp"
#include "support/config_error.hpp"
#include "unit/data/image_planes.hpp"

namespace switchyard::data {
namespace {

using test::Bytes;
using testing::AllOf;
using testing::HasSubstr;

TEST_F(PreparedImages, turn_by_quarters_to_the_pixel) {
  write(4, 6, 6);
  const auto turned = [&](const char* text) {
    config_.prepare = text;
    return pixels_of(load(), Split::train, 2);
  };
  const Plane plane = image(2);
  const auto expect = [&](const Bytes& pixels, const auto& from) {
    for (index_t y = 0; y < 6; ++y) {
      for (index_t x = 0; x < 6; ++x) ASSERT_EQ(pixels[as_size(y * 6 + x)], from(y, x)) << y << ' ' << x;
    }
  };
  // To the left: the right-most column becomes the first row.
  expect(turned("rotate:90"), [&](index_t y, index_t x) { return plane.at(x, 5 - y); });
  expect(turned("rotate:-270"), [&](index_t y, index_t x) { return plane.at(x, 5 - y); });
  expect(turned("rotate:180"), [&](index_t y, index_t x) { return plane.at(5 - y, 5 - x); });
  expect(turned("rotate:-90"), [&](index_t y, index_t x) { return plane.at(5 - x, y); });
  for (const char* const nothing : {"rotate:0", "rotate:360", "centre_crop:6", "resize:6"})
    expect(turned(nothing), [&](index_t y, index_t x) { return plane.at(y, x); });
}

TEST_F(PreparedImages, turn_by_any_angle) {
  for (const auto& [height, width] : {std::pair{9u, 9u}, {8u, 11u}, {7u, 4u}}) {
    write(2, height, width);
    for (const double degrees : {30.0, -30.0, 45.0, 7.3, 133.0, 300.0}) {
      config_.prepare = fmt::format("rotate:{}", degrees);
      expect_near(pixels_of(load(), Split::train, 1), naive_rotate(image(1), degrees));
    }
  }
}

TEST_F(PreparedImages, turn_into_black) {
  write_plane(made(8, 8, [](index_t, index_t) { return 200.0; }));
  config_.prepare = "rotate:45";
  const Bytes pixels = pixels_of(load(), Split::train, 0);
  EXPECT_EQ(pixels[0], 0);
  EXPECT_EQ(pixels[8 * 4 + 4], 200);
}

// Up by 4/3: centres lie at (i + 0.5) * 3/4 - 0.5 = -0.125, 0.625, 1.375, 2.125, ...; at the edge the triangle
// has less to weigh.
TEST_F(PreparedImages, a_ramp_stays_one_when_it_is_resized) {
  write_plane(made(24, 24, [](index_t, index_t x) { return 8.0 * static_cast<double>(x); }));
  config_.prepare = "resize:32";
  const Dataset dataset = load();
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{1, 32, 32}));
  const Bytes pixels = pixels_of(dataset, Split::train, 0);
  for (index_t y = 0; y < 32; ++y) {
    EXPECT_EQ(pixels[as_size(y * 32)], 0);
    for (index_t x = 1; x < 31; ++x) EXPECT_EQ(pixels[as_size(y * 32 + x)], 6 * x - 1) << x;
    EXPECT_EQ(pixels[as_size(y * 32 + 31)], 184);
  }
}

TEST_F(PreparedImages, resize_up_and_down) {
  write(2, 12, 10);
  for (const auto& [height, width] : {std::pair{24, 20}, {13, 7}, {5, 4}, {1, 30}, {12, 3}}) {
    config_.prepare = fmt::format("resize:{}x{}", height, width);
    expect_near(pixels_of(load(), Split::train, 1), naive_resize(image(1), height, width));
  }
}

TEST_F(PreparedImages, crop_their_middle) {
  write(2, 9, 12);
  for (const auto& [height, width] : {std::pair{5, 6}, {4, 5}, {9, 12}, {2, 1}}) {
    config_.prepare = fmt::format("centre_crop:{}x{}", height, width);
    expect_near(pixels_of(load(), Split::train, 1), naive_crop(image(1), height, width));
  }
}

TEST_F(PreparedImages, are_rounded_once_behind_all_steps) {
  write(3, 16, 16);
  config_.derive = "rotated:30";
  config_.prepare = "centre_crop:12 rotate:-11 resize:16x20";
  const Dataset dataset = load();
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{1, 16, 20}));
  const auto chain = [](const Plane& plane) {
    return naive_resize(naive_rotate(naive_crop(plane, 12, 12), -11), 16, 20);
  };
  for (index_t i = 0; i < 3; ++i) {
    expect_near(pixels_of(dataset, Split::train, 2 * i), chain(image(i)));
    expect_near(pixels_of(dataset, Split::train, 2 * i + 1), chain(naive_rotate(image(i), 30)));
  }
}

TEST_F(PreparedImages, of_several_channels_are_turned_one_by_one) {
  test::write_cifar100(dir_.path(), 4, 2);
  config_.source = Source::cifar;
  const Bytes plain = pixels_of(load(), Split::train, 3);
  config_.prepare = "rotate:30 centre_crop:24 resize:32";
  const Bytes pixels = pixels_of(load(), Split::train, 3);
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const Plane plane = made(32, 32, [&](index_t y, index_t x) {
      return static_cast<double>(plain[channel * 1024 + as_size(y * 32 + x)]);
    });
    const auto first = pixels.begin() + static_cast<std::ptrdiff_t>(channel * 1024);
    expect_near(Bytes(first, first + 1024), naive_resize(naive_crop(naive_rotate(plane, 30), 24, 24), 32, 32));
  }
}

TEST_F(PreparedImages, scales_are_learned_of_what_a_model_sees) {
  write(20, 8, 8);
  config_.prepare = "rotate:45";
  const Dataset plain = load();
  double sum = 0;
  for (index_t n = 0; n < 20; ++n) {
    for (const std::uint8_t pixel : pixels_of(plain, Split::train, n)) sum += pixel;
  }
  config_.normalise = Normalise::channel;
  EXPECT_NEAR(load().learned_normalisation()->mean[0], sum / 255 / 20 / 64, 1e-12);
}

TEST_F(PreparedImages, are_not_converted) {
  write(3, 5, 5);
  const std::string digest = load({.purpose = Purpose::conversion}).identity().digest;
  config_.derive = "rotated:30";
  config_.prepare = "resize:2";
  config_.augment = "flip";
  const Dataset converted = load({.purpose = Purpose::conversion});
  EXPECT_EQ(converted.identity().digest, digest);
  EXPECT_EQ(converted.size(Split::train), 3);
  EXPECT_EQ(converted.class_count(), 3);
}

TEST_F(PreparedImages, have_a_digest_of_what_a_model_sees) {
  write(5, 6, 6);
  const std::string plain = load().identity().digest;
  config_.augment = "flip crop:1";
  EXPECT_EQ(load().identity().digest, plain);
  config_.prepare = "resize:6";
  EXPECT_EQ(load().identity().digest, plain) << "the same pixels";
  config_.prepare = "rotate:30";
  const std::string turned = load().identity().digest;
  EXPECT_NE(turned, plain);
  config_.derive = "rotated:10";
  EXPECT_NE(load().identity().digest, turned);
}

TEST_F(PreparedImages, steps_that_do_not_fit_are_refused) {
  write(3, 6, 8);
  config_.prepare = "centre_crop:4 resize:5 centre_crop:6x5";
  EXPECT_THAT(failure(),
              AllOf(HasSubstr("data.prepare: centre_crop:6x5 is larger than the images (5 x 5 where it "
                              "comes to them)"),
                    HasSubstr("write a smaller one")));
  config_.prepare = "none";
  config_.augment = "flip crop:6";
  EXPECT_THAT(failure(),
              HasSubstr("data.augment: crop:6 reaches 6 x 6 pixels beyond the images, which are 6 x 8"));
  config_.augment = "blur:3x13:1:2";
  EXPECT_THAT(failure(), HasSubstr("data.augment: blur:3x13:1:2 reaches 6 x 1 pixels"));
  config_.augment = "blur:15x11:1:2";
  EXPECT_EQ(failure(), "no error");
  config_.prepare = "resize:4";
  EXPECT_THAT(failure(), HasSubstr("which are 4 x 4")) << "as they are prepared";
}

TEST_F(PreparedImages, what_are_no_images_is_refused) {
  for (const auto& [type, shape] : {std::pair{detail::NumberType::uint8, tensor::Shape{3, 4}},
                                    {detail::NumberType::int8, tensor::Shape{3, 2, 2}}}) {
    for (std::string data::Options::*key : {&Options::derive, &Options::prepare, &Options::augment}) {
      data::Options options;
      options.validation_samples = 0;
      options.*key = key == &Options::derive ? "rotated:30" : "rotate:30";
      detail::Tables tables = tables_of(3);
      for (std::optional<detail::Table>* table : {&tables.train, &tables.test})
        (*table)->samples = {"own.h5: train/samples", type, shape, Vector<std::uint8_t>(12)};
      try {
        detail::make_table_source(std::move(tables), options, {});
        ADD_FAILURE() << "no error";
      } catch (const ConfigError& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("rotate"), HasSubstr(":30 with samples that are no images"),
                                        HasSubstr("own.h5: train/samples"), HasSubstr("= none")));
      }
    }
  }
}

TEST_F(PreparedImages, are_refused_beyond_all_memory) {
  write(10'000, 2, 2);
  config_.prepare = "resize:16384";
  EXPECT_THAT(test::error_of<OutOfMemory>([&] { load(); }),
              AllOf(HasSubstr(" images of 1 x 16384 x 16384 are "),
                    HasSubstr(" GiB (data.prepare = resize:16384; this host allows "),
                    HasSubstr(" GiB, and every rank holds all images); make them smaller, or take fewer")));
  config_.derive = "rotated:30";
  config_.prepare = "centre_crop:2 resize:16000x16384";
  EXPECT_THAT(
      test::error_of<OutOfMemory>([&] { load(); }),
      HasSubstr("(data.derive = rotated:30, data.prepare = centre_crop:2 resize:16000x16384; this host"));
}

TEST_F(PreparedImages, are_counted_in_the_memory_that_samples_take) {
  write(8, 6, 6);
  const index_t plain = load().held_bytes();
  EXPECT_GT(plain, 8 * 36);
  config_.prepare = "resize:12x3";
  EXPECT_EQ(load().held_bytes(), plain);
  config_.derive = "rotated:30";
  EXPECT_EQ(load().held_bytes(), 2 * plain);
  config_.prepare = "resize:18x6";
  EXPECT_EQ(load().held_bytes(), 6 * plain);
}

}  // namespace
}  // namespace switchyard::data
