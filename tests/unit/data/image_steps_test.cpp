#include "data/detail/image_steps.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/config_error.hpp"

namespace switchyard::data::detail {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <class Parse>
std::string error_of(const Parse& parse, std::string_view text) {
  return test::data_error_of<ConfigError>([&] { parse(text); });
}
std::string derive_error(std::string_view text) { return error_of(parse_derive, text); }
std::string prepare_error(std::string_view text) { return error_of(parse_prepare, text); }
std::string augment_error(std::string_view text) { return error_of(parse_augment, text); }

TEST(ImageSteps, none_is_no_step) {
  EXPECT_FALSE(parse_derive("none"));
  EXPECT_TRUE(parse_prepare(" none ").empty());
  EXPECT_TRUE(parse_augment("none").empty());
}

TEST(ImageSteps, a_derivation_has_an_angle) {
  EXPECT_EQ(parse_derive("rotated:30"), 30);
  EXPECT_EQ(parse_derive("rotated:-12.5"), -12.5);
}

TEST(ImageSteps, preparation_is_in_order) {
  const std::vector<PrepareStep> steps = parse_prepare("rotate:1.5  centre_crop:24\tresize:32x40 resize:7");
  ASSERT_EQ(steps.size(), 4u);
  EXPECT_EQ(steps[0].kind, PrepareStep::Kind::rotate);
  EXPECT_EQ(steps[0].degrees, 1.5);
  EXPECT_EQ(steps[1].kind, PrepareStep::Kind::centre_crop);
  EXPECT_EQ((std::pair{steps[1].height, steps[1].width}), (std::pair<index_t, index_t>{24, 24}));
  EXPECT_EQ(steps[2].kind, PrepareStep::Kind::resize);
  EXPECT_EQ((std::pair{steps[2].height, steps[2].width}), (std::pair<index_t, index_t>{32, 40}));
  EXPECT_EQ(steps[3].word, "resize:7");
}

TEST(ImageSteps, augmentation_is_in_order) {
  const std::vector<AugmentStep> steps = parse_augment("blur:3x7:1.1:2.2 crop:4 rotate:15 flip");
  ASSERT_EQ(steps.size(), 4u);
  EXPECT_EQ(steps[0].kind, AugmentStep::Kind::blur);
  EXPECT_EQ((std::pair{steps[0].width, steps[0].height}), (std::pair<index_t, index_t>{3, 7}));
  EXPECT_EQ((std::pair{steps[0].least_sigma, steps[0].most_sigma}), (std::pair{1.1, 2.2}));
  EXPECT_EQ(steps[1].padding, 4);
  EXPECT_EQ(steps[2].degrees, 15);
  EXPECT_EQ(steps[3].kind, AugmentStep::Kind::flip);
}

TEST(ImageSteps, a_word_that_is_none_is_quoted_with_its_place_and_the_nearest) {
  EXPECT_EQ(
      augment_error("flip crob:4"),
      "data.augment: word 2 'crob:4' is nothing that data.augment does (column 6 of 'flip crob:4'); did you mean "
      "'crop'? words are flip, crop, blur or rotate");
  EXPECT_THAT(prepare_error("centre_cut:24"),
              HasSubstr("did you mean 'centre_crop'? words are rotate, centre_crop or "
                        "resize"));
  EXPECT_THAT(prepare_error("rotated:30"), HasSubstr("did you mean 'rotate'?"));
  EXPECT_THAT(derive_error("rotate:30"), HasSubstr("did you mean 'rotated'? the word is rotated"));
  EXPECT_THAT(augment_error("flip none"),
              AllOf(HasSubstr("word 2 'none' stands beside other words"), HasSubstr("write none alone")));
  EXPECT_THAT(prepare_error(" "), HasSubstr("data.prepare is empty"));
}

TEST(ImageSteps, a_word_of_another_key_is_sent_there) {
  EXPECT_EQ(
      prepare_error("flip"),
      "data.prepare: word 1 'flip' is nothing that data.prepare does (column 1 of 'flip'); data.augment does: write "
      "data.augment = flip");
  EXPECT_THAT(prepare_error("resize:8 crop:4"), HasSubstr("data.augment does: write data.augment = crop:4"));
  EXPECT_THAT(augment_error("resize:16"), HasSubstr("data.prepare does: write data.prepare = resize:16"));
  EXPECT_THAT(augment_error("rotated:30"), HasSubstr("did you mean 'rotate'?"));
  EXPECT_THAT(derive_error("flip"), HasSubstr("data.augment does: write data.augment = flip"));
}

TEST(ImageSteps, values_are_as_many_as_the_word_takes) {
  EXPECT_EQ(
      prepare_error("rotate:5 resize"),
      "data.prepare: word 2 'resize' has 0 values behind its name and takes 1 (column 10 of 'rotate:5 resize'); "
      "write resize:N or resize:HEIGHTxWIDTH");
  EXPECT_THAT(augment_error("flip:2"), HasSubstr("has 1 value behind its name and takes 0"));
  EXPECT_THAT(augment_error("blur:3x3:1"), AllOf(HasSubstr("has 2 values behind its name and takes 3"),
                                                 HasSubstr("write blur:WIDTHxHEIGHT:A:B")));
}

TEST(ImageSteps, values_are_numbers_in_range) {
  EXPECT_THAT(prepare_error("resize:3x"), HasSubstr("'resize:3x' has '' for a number of pixels"));
  EXPECT_THAT(prepare_error("resize:0"), HasSubstr("has '0' for a number of pixels (1 to 16384 are taken)"));
  EXPECT_THAT(prepare_error("centre_crop:1.5"), HasSubstr("has '1.5' for a number of pixels"));
  EXPECT_THAT(prepare_error("rotate:x"), HasSubstr("has 'x' for an angle in degrees"));
  EXPECT_THAT(prepare_error("rotate:nan"), HasSubstr("has 'nan' for an angle in degrees"));
  EXPECT_THAT(prepare_error("rotate:361"),
              HasSubstr("has '361' for an angle in degrees (-360 to 360 are taken)"));
  EXPECT_THAT(augment_error("crop:0"), HasSubstr("has '0' for a number of pixels"));
  EXPECT_THAT(augment_error("crop:99999999999999999999"), HasSubstr("(1 to 16384 are taken)"));
  EXPECT_THAT(augment_error("rotate:0"), HasSubstr("turns nothing"));
  EXPECT_THAT(augment_error("rotate:181"), HasSubstr("(0 to 180 are taken)"));
  EXPECT_THAT(augment_error("blur:3x4:1:2"), AllOf(HasSubstr("an even side"), HasSubstr("write odd sides")));
  EXPECT_THAT(augment_error("blur:3:1:2"), HasSubstr("has '3' for two sides"));
  EXPECT_THAT(augment_error("blur:3x3:2:1"), HasSubstr("draws sigma from 2 to 1, which is downwards"));
  EXPECT_THAT(augment_error("blur:3x3:0:1"), HasSubstr("has '0' for a sigma in pixels"));
  for (const char* const turns_nothing : {"rotated:0", "rotated:360", "rotated:-360"})
    EXPECT_THAT(derive_error(turns_nothing),
                HasSubstr("turns nothing (both copies of an image would be alike)"));
}

TEST(ImageSteps, a_draw_is_made_once) {
  EXPECT_THAT(augment_error("flip crop:2 flip"), HasSubstr("word 3 'flip' stands there for a second time"));
  EXPECT_THAT(derive_error("rotated:30 rotated:60"), HasSubstr("word 2 'rotated:60' is a second one"));
}

}  // namespace
}  // namespace switchyard::data::detail
