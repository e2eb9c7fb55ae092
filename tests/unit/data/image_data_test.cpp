// data.source = images: folders of files, and what becomes of them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "device/allowed_memory.hpp"
#include "support/config_error.hpp"
#include "support/image_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::Image;
using test::jpeg_bytes;
using test::png_bytes;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A grey image, flat: its value tells which it is.
Image flat(std::uint8_t value, std::uint32_t height = 2, std::uint32_t width = 3) {
  return {1, height, width, Bytes(height * width, value)};
}

class ImageData : public testing::Test {
 protected:
  ImageData() {
    options_.source = Source::images;
    options_.dir = dir_.path().string();
    options_.validation_samples = 0;
  }

  void write(const std::string& name, const Bytes& content) {
    fs::create_directories((dir_.path() / name).parent_path());
    test::write_file(dir_.path() / name, content);
  }
  void write(const std::string& name, const Image& image) { write(name, png_bytes(image)); }
  Dataset load(Purpose purpose = Purpose::training) const {
    return load_dataset(options_, 1, {.purpose = purpose});
  }

  template <class Failure = DataError>
  std::string failure(Purpose purpose = Purpose::training) {
    return test::data_error_of<Failure>([&] { load(purpose); });
  }

  test::TemporaryDirectory dir_;
  Options options_;
};

std::vector<int> bytes_of(const Dataset& dataset, Split split, index_t sample) {
  std::vector<float> row(static_cast<std::size_t>(dataset.shape().features()));
  dataset.fill(split, {&sample, 1}, {row.data(), 1, std::ssize(row)});
  std::vector<int> bytes;
  for (const float value : row) bytes.push_back(static_cast<int>(std::lround(value * 255)));
  return bytes;
}

// The first number of each sample.
std::vector<int> values_of(const Dataset& dataset, Split split) {
  std::vector<int> values;
  for (index_t n = 0; n < dataset.size(split); ++n) values.push_back(bytes_of(dataset, split, n).front());
  return values;
}

std::vector<std::int32_t> labels_of(const Dataset& dataset, Split split) {
  std::vector<index_t> samples(static_cast<std::size_t>(dataset.size(split)));
  std::iota(samples.begin(), samples.end(), index_t{0});
  std::vector<std::int32_t> labels(samples.size());
  dataset.fill_labels(split, samples, labels);
  return labels;
}

TEST_F(ImageData, samples_lie_class_by_class_in_the_order_of_names) {
  write("train/b/2.png", flat(22));
  write("train/b/10.PNG", flat(21));
  write("train/a/x.png", flat(11));
  write("train/B/x.png", flat(1));  // capitals come first
  write("test/b/x.png", flat(120));
  write("test/aa/x.png", flat(115));
  write("test/a/y.JPEG", jpeg_bytes(flat(110)));
  write("validation/a/y.jpg", png_bytes(flat(210)));  // what it holds counts
  options_.validation_samples = config::automatic_count;
  const Dataset dataset = load();
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{1, 2, 3}));
  EXPECT_THAT(dataset.class_names(), ElementsAre("B", "a", "aa", "b"));
  EXPECT_EQ(dataset.class_count(), 4);
  EXPECT_EQ(dataset.group_count(), 0);
  EXPECT_TRUE(dataset.has_pixels());
  EXPECT_THAT(values_of(dataset, Split::train), ElementsAre(1, 11, 21, 22));
  EXPECT_THAT(labels_of(dataset, Split::train), ElementsAre(0, 1, 3, 3));
  EXPECT_THAT(values_of(dataset, Split::test), ElementsAre(110, 115, 120));
  EXPECT_THAT(labels_of(dataset, Split::test), ElementsAre(1, 2, 3));
  EXPECT_THAT(values_of(dataset, Split::validation), ElementsAre(210));
  EXPECT_THAT(labels_of(dataset, Split::validation), ElementsAre(1));
  EXPECT_THAT(dataset.remarks(), IsEmpty());
}

TEST_F(ImageData, a_class_that_only_another_split_has_counts) {
  write("train/a/x.png", flat(1));
  write("test/a/x.png", flat(2));
  write("val/b/x.png", flat(3));
  options_.validation_samples = config::automatic_count;
  const Dataset dataset = load();
  EXPECT_EQ(dataset.class_count(), 2);
  EXPECT_THAT(labels_of(dataset, Split::validation), ElementsAre(1));
}

TEST_F(ImageData, splits_without_a_folder_are_taken_from_the_training_images) {
  for (int i = 0; i < 20; ++i)
    write(fmt::format("train/{}/{}.png", i % 2, i), flat(static_cast<std::uint8_t>(i)));
  options_.validation_samples = 3;
  options_.test_samples = 5;
  const Dataset dataset = load();
  EXPECT_EQ(dataset.size(Split::train), 12);
  EXPECT_EQ(dataset.size(Split::validation), 3);
  EXPECT_EQ(dataset.size(Split::test), 5);
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const std::vector<int> values = values_of(dataset, split);
    const std::vector<std::int32_t> labels = labels_of(dataset, split);
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i] % 2, labels[i]);
  }
}

TEST_F(ImageData, pixels_are_channels_of_rows) {
  const Image image = Image::smooth(3, 4, 5, 2);
  write("train/a/x.png", image);
  write("test/a/x.png", image);
  const Dataset dataset = load();
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{3, 4, 5}));
  const Bytes expected = image.planes();
  EXPECT_EQ(bytes_of(dataset, Split::train, 0), std::vector<int>(expected.begin(), expected.end()));
}

TEST_F(ImageData, one_image_of_colours_makes_three_channels_of_all) {
  write("train/a/x.png", flat(9, 1, 1));
  write("test/a/x.png", Image{3, 1, 1, {255, 0, 0}});
  EXPECT_THAT(bytes_of(load(), Split::train, 0), ElementsAre(9, 9, 9));
  EXPECT_THAT(bytes_of(load(), Split::test, 0), ElementsAre(255, 0, 0));
  options_.images.channels = ImageChannels::grey;
  EXPECT_THAT(bytes_of(load(), Split::train, 0), ElementsAre(9));
  EXPECT_THAT(bytes_of(load(), Split::test, 0), ElementsAre(76));
  write("test/a/x.png", flat(7, 1, 1));
  options_.images.channels = ImageChannels::automatic;
  EXPECT_THAT(bytes_of(load(), Split::test, 0), ElementsAre(7));
  options_.images.channels = ImageChannels::colour;
  EXPECT_THAT(bytes_of(load(), Split::test, 0), ElementsAre(7, 7, 7));
}

TEST_F(ImageData, images_of_two_sizes_are_refused_or_resized) {
  write("train/a/first.png", Image{3, 2, 2, {0, 0, 0, 40, 0, 0, 80, 10, 0, 120, 30, 255}});
  write("test/a/other.png", flat(5, 4, 6));
  EXPECT_THAT(failure(), AllOf(HasSubstr("test/a/other.png has 4 x 6"), HasSubstr("train/a/first.png 2 x 2"),
                               HasSubstr("images.size"), HasSubstr("2x2")));
  options_.images.size = "1x2";
  EXPECT_EQ(load().shape(), (tensor::SampleShape{3, 1, 2}));
  EXPECT_THAT(bytes_of(load(), Split::train, 0), ElementsAre(40, 80, 5, 15, 0, 128));
  EXPECT_THAT(bytes_of(load(), Split::test, 0), ElementsAre(5, 5, 5, 5, 5, 5));
}

TEST_F(ImageData, what_is_no_size_is_a_configuration_error) {
  for (const char* const size :
       {"32", "32x", "x32", "0x3", "3x0", "-1x3", "3x4x5", "3x4 ", "3X4", "70000x1", "60000x60000"}) {
    options_.images.size = size;
    try {
      validate(options_);
      ADD_FAILURE() << size;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(size), HasSubstr("images.size"), HasSubstr("; ")));
    }
  }
  options_.images.size = "32x48";
  EXPECT_NO_THROW(validate(options_));
  EXPECT_THAT(describe(options_), HasSubstr("resized to 32x48"));
}

TEST_F(ImageData, hidden_and_other_files_are_passed_over) {
  write("train/a/x.png", flat(1));
  write("test/a/x.png", flat(2));
  for (const char* const name : {"README.txt", "train/labels.csv", "train/a/notes.md", "train/.cache/x.png",
                                 "train/a/.x.png", ".git/x", "other/y.png"})
    write(name, Bytes{1});
  EXPECT_EQ(load().size(Split::train), 1);
  EXPECT_THAT(load().remarks(), IsEmpty());
  write("train/a/y.webp", Bytes{1});
  write("train/a/z.gif", Bytes{1});
  EXPECT_THAT(load().remarks(),
              ElementsAre(AllOf(HasSubstr("train/a/y.webp and 1 more"), HasSubstr("not read"))));
  write("test/a/more/x.png", flat(3));
  EXPECT_THAT(load().remarks(),
              ElementsAre(HasSubstr("y.webp"), AllOf(HasSubstr("test/a/more is"), HasSubstr("not read"))));
  EXPECT_EQ(load().size(Split::test), 1);
}

TEST_F(ImageData, what_holds_no_image_is_named) {
  EXPECT_THAT(failure(), AllOf(HasSubstr(options_.dir), HasSubstr("no folder 'train'"), HasSubstr("data.dir")));
  fs::create_directories(dir_.path() / "train");
  EXPECT_THAT(failure(), HasSubstr("train holds no image"));
  write("train/a/x.png", flat(1));
  write("train/b/notes.txt", Bytes{1});
  EXPECT_THAT(failure(), HasSubstr("train/b holds no image"));
  write("train/b/x.png", flat(1));
  fs::create_directories(dir_.path() / "test");
  EXPECT_THAT(failure(), HasSubstr("test holds no image"));
  options_.dir = (dir_.path() / "nowhere").string();
  EXPECT_THAT(failure(), HasSubstr("nowhere"));
}

TEST_F(ImageData, an_image_without_a_class_is_refused) {
  write("train/a/x.png", flat(1));
  write("test/x.png", flat(2));
  EXPECT_THAT(failure(), AllOf(HasSubstr("test/x.png lies in no folder of a class"), HasSubstr("CLASS")));
  EXPECT_THAT(failure(Purpose::conversion), HasSubstr("test/x.png"));
}

TEST_F(ImageData, two_folders_for_validation_are_refused) {
  write("train/a/x.png", flat(1));
  write("val/a/x.png", flat(1));
  write("validation/a/x.png", flat(1));
  EXPECT_THAT(failure(), AllOf(HasSubstr("/val "), HasSubstr("/validation")));
}

TEST_F(ImageData, a_prediction_needs_neither_labels_nor_training_images) {
  write("test/b.png", flat(2));
  write("test/a.png", flat(1));
  const Dataset dataset = load(Purpose::prediction);
  EXPECT_THAT(values_of(dataset, Split::test), ElementsAre(1, 2));
  EXPECT_FALSE(dataset.has_labels(Split::test));
  EXPECT_THAT(dataset.class_names(), IsEmpty());
  EXPECT_EQ(dataset.size(Split::train), 0);
  EXPECT_THAT(failure(), HasSubstr("no folder 'train'"));
  write("test/c/a.png", flat(3));
  EXPECT_THAT(failure(Purpose::prediction),
              AllOf(HasSubstr("test/a.png"), HasSubstr("others of the split do")));
  fs::remove(dir_.path() / "test" / "a.png");
  fs::remove(dir_.path() / "test" / "b.png");
  EXPECT_TRUE(load(Purpose::prediction).has_labels(Split::test));
}

TEST_F(ImageData, links_are_followed_and_their_circles_end) {
  write("elsewhere/x.png", flat(7));
  write("train/a/y.png", flat(8));
  write("test/a/y.png", flat(9));
  fs::create_directory_symlink(dir_.path() / "elsewhere", dir_.path() / "train/b");
  fs::create_symlink(dir_.path() / "elsewhere/x.png", dir_.path() / "train/a/z.png");
  EXPECT_THAT(values_of(load(), Split::train), ElementsAre(8, 7, 7));
  EXPECT_THAT(labels_of(load(), Split::train), ElementsAre(0, 0, 1));
  fs::create_directory_symlink(dir_.path(), dir_.path() / "train/a/up");
  EXPECT_THAT(load().remarks(), ElementsAre(HasSubstr("train/a/up")));
  fs::create_directory_symlink(dir_.path(), dir_.path() / "train/c");
  EXPECT_THAT(failure(), HasSubstr("train/c holds no image"));
  fs::remove(dir_.path() / "train/c");
  fs::create_symlink("self", dir_.path() / "train/self");
  EXPECT_THAT(failure(), AllOf(HasSubstr("train/self"), HasSubstr("symbolic links")));
  fs::remove(dir_.path() / "train/self");
  fs::create_symlink("nowhere.png", dir_.path() / "train/a/gone.png");
  EXPECT_THAT(failure(), HasSubstr("gone.png"));
}

TEST_F(ImageData, an_image_that_is_damaged_is_named) {
  write("train/a/x.png", flat(1));
  write("test/a/x.png", flat(1));
  Bytes cut = jpeg_bytes(Image::smooth(1, 2, 3, 1));
  cut.resize(cut.size() - 10);
  write("train/a/y.jpg", cut);
  EXPECT_THAT(failure(), AllOf(HasSubstr("train/a/y.jpg"), HasSubstr("remature end")));
  write("train/a/y.jpg", Bytes{});
  EXPECT_THAT(failure(), AllOf(HasSubstr("train/a/y.jpg"), HasSubstr("is empty")));
  fs::remove(dir_.path() / "train/a/y.jpg");
  fs::create_directory(dir_.path() / "train/a/y.jpg");
  EXPECT_THAT(load().remarks(), ElementsAre(HasSubstr("y.jpg is not read")));
  fs::resize_file(dir_.path() / "train/a/x.png", (std::uintmax_t{1} << 28) + 1);
  EXPECT_THAT(failure(), AllOf(HasSubstr("train/a/x.png"), HasSubstr("2^28")));
}

// So that a run of one can be taken up with the other, and ranks may have either.
TEST_F(ImageData, has_the_digest_of_the_same_pixels_elsewhere) {
  Bytes train, test;
  const auto make = [&](const std::string& split, int label, int i, Bytes& records) {
    const Image image = Image::smooth(3, 32, 32, static_cast<std::uint32_t>(10 * label + i));
    write(fmt::format("{}/{}/{}.png", split, label, i), image);
    records.push_back(static_cast<std::uint8_t>(label));
    const Bytes planes = image.planes();
    records.insert(records.end(), planes.begin(), planes.end());
  };
  for (int label = 0; label < 10; ++label) {
    for (int i = 0; i < 5; ++i) make("train", label, i, train);
    make("test", label, 7, test);
  }
  const Dataset images = load();
  test::TemporaryDirectory folder;
  const auto part = static_cast<std::ptrdiff_t>(train.size() / 5);
  for (std::ptrdiff_t i = 0; i < 5; ++i)
    test::write_file(folder.path() / fmt::format("data_batch_{}.bin", i + 1),
                     Bytes(train.begin() + i * part, train.begin() + (i + 1) * part));
  test::write_file(folder.path() / "test_batch.bin", test);
  Options cifar = options_;
  cifar.source = Source::cifar;
  cifar.dir = folder.path().string();
  EXPECT_EQ(images.identity(), load_dataset(cifar, 1).identity());
}

TEST_F(ImageData, a_conversion_may_wait_in_a_folder) {
  write("train/a/x.png", flat(1));
  write("train/b/x.png", flat(2));
  const Dataset dataset =
      load_dataset(options_, 1, {.purpose = Purpose::conversion, .spool_folder = dir_.path().string()});
  EXPECT_THAT(values_of(dataset, Split::train), ElementsAre(1, 2));
  EXPECT_EQ(dataset.size(Split::test), 0);
}

TEST_F(ImageData, takes_scales_from_its_training_images) {
  write("train/a/x.png", flat(51));
  write("train/b/x.png", flat(153));
  write("test/a/x.png", flat(0));
  options_.normalise = Normalise::channel;
  const Dataset dataset = load();
  EXPECT_NEAR(dataset.learned_normalisation()->mean.front(), 0.4, 1e-12);
  EXPECT_NEAR(dataset.learned_normalisation()->standard_deviation.front(), 0.2, 1e-12);
}

TEST_F(ImageData, labels_are_no_real_numbers) {
  write("train/a/x.png", flat(51));
  EXPECT_THROW(load_dataset(options_, 1, {.labels = Labels::numbers}), ConfigError);
}

TEST_F(ImageData, is_refused_beyond_all_memory) {
  constexpr index_t side = 9459;  // the largest of a colour image
  const index_t count = device::allowed_memory_bytes() / (3 * side * side) + 1;
  for (index_t i = 0; i < count; ++i) write(fmt::format("train/a/{}.png", i), flat(1));
  write("train/b/1.png", flat(2));
  options_.images.size = fmt::format("{0}x{0}", side);
  options_.images.channels = ImageChannels::colour;
  EXPECT_THAT(failure<OutOfMemory>(),
              AllOf(HasSubstr(fmt::format("{} images of 3 x 9459 x 9459 are ", count + 1)),
                    HasSubstr("(images.size = 9459x9459; this host allows ")));
}

}  // namespace
}  // namespace switchyard::data
