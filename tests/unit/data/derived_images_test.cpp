// data.derive.
#include "data/detail/prepared_images.hpp"

#include <map>
#include <set>

#include "support/cifar_files.hpp"
#include "unit/data/image_planes.hpp"

namespace switchyard::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DerivedImages : public PreparedImages {
 protected:
  static std::vector<std::int32_t> numbers(const Dataset& dataset, Split split, bool groups) {
    Vector<index_t> samples(dataset.size(split));
    std::iota(samples.begin(), samples.end(), index_t{0});
    std::vector<std::int32_t> found(samples.size());
    groups ? dataset.fill_groups(split, samples, found) : dataset.fill_labels(split, samples, found);
    return found;
  }
};

TEST_F(DerivedImages, are_two_of_each_with_its_class_as_their_group) {
  write(7, 5, 5);
  config_.derive = "rotated:30";
  const Dataset dataset = load();
  EXPECT_EQ(dataset.class_count(), 2);
  EXPECT_EQ(dataset.group_count(), 3);
  EXPECT_EQ(dataset.size(Split::train), 14);
  EXPECT_EQ(dataset.size(Split::test), 6);
  EXPECT_EQ(dataset.identity().training_samples, 14);
  EXPECT_EQ(dataset.file_samples(Split::train), 14);
  EXPECT_THAT(numbers(dataset, Split::test, false), ElementsAre(0, 1, 0, 1, 0, 1));
  EXPECT_THAT(numbers(dataset, Split::test, true), ElementsAre(0, 0, 1, 1, 2, 2));
  for (index_t i = 0; i < 7; ++i) {
    EXPECT_EQ(dataset.id(Split::train, 2 * i), 2 * i);
    EXPECT_EQ(dataset.id(Split::train, 2 * i + 1), 2 * i + 1);
    expect_near(pixels_of(dataset, Split::train, 2 * i), image(i));
    expect_near(pixels_of(dataset, Split::train, 2 * i + 1), naive_rotate(image(i), 30));
  }
}

TEST_F(DerivedImages, of_one_image_are_in_one_split) {
  write(60, 4, 4);
  const std::uint32_t wanted = 15;
  for (const bool balanced : {false, true}) {
    config_.derive = "none";
    config_.validation_samples = wanted;
    config_.validation_balanced = balanced;
    const Dataset plain = load();
    config_.derive = "rotated:90";
    const Dataset dataset = load();
    EXPECT_EQ(dataset.size(Split::validation), 30);
    EXPECT_EQ(dataset.size(Split::train), 90);
    std::set<std::int64_t> images;
    for (const Split split : {Split::train, Split::validation}) {
      EXPECT_EQ(dataset.size(split), 2 * plain.size(split));
      for (index_t n = 0; n < dataset.size(split); ++n) {
        EXPECT_EQ(dataset.id(split, n), 2 * plain.id(split, n / 2) + n % 2);
        EXPECT_EQ(n % 2 == 1, !images.insert(dataset.id(split, n) / 2).second) << "an image in two splits";
      }
      EXPECT_EQ(pixels_of(dataset, split, 6), pixels_of(plain, split, 3));
    }
    EXPECT_EQ(images.size(), 60u);
    std::map<std::int32_t, int> counts;
    for (const std::int32_t group : numbers(dataset, Split::validation, true)) ++counts[group];
    if (!balanced) continue;
    EXPECT_THAT(counts, ElementsAre(std::pair{0, 10}, std::pair{1, 10}, std::pair{2, 10}));
  }
}

TEST_F(DerivedImages, clusters_of_the_data_make_way_for_classes) {
  test::write_cifar100(dir_.path(), 40, 20);
  config_.source = Source::cifar;
  config_.derive = "rotated:30";
  const Dataset dataset = load();
  EXPECT_EQ(dataset.class_count(), 2);
  EXPECT_EQ(dataset.group_count(), 100);
  EXPECT_EQ(numbers(dataset, Split::train, true)[2 * 31 + 1], 31);
}

TEST_F(DerivedImages, keep_names_ids_and_weights) {
  config_.derive = "rotated:180";
  const auto source = detail::make_table_source(tables_of(3), config_, {});
  EXPECT_EQ(source->class_count(), 2);
  EXPECT_EQ(source->group_count(), 3);
  EXPECT_THAT(source->group_names(), ElementsAre("cat", "dog", "none of them"));
  std::vector<std::int64_t> ids;
  std::vector<double> weights;
  for (index_t n = 0; n < 6; ++n) {
    ids.push_back(source->id(Split::test, n));
    weights.push_back(source->weight(Split::train, n));
  }
  EXPECT_THAT(ids, ElementsAre(-200, -199, 0, 1, 200, 201));
  EXPECT_THAT(weights, ElementsAre(1, 1, 2, 2, 3, 3));
  EXPECT_EQ(source->weight_unit(), 2);
  detail::Tables large = tables_of(3);
  large.test->ids->values[1] = std::int64_t{1} << 62;
  EXPECT_THROW(detail::make_table_source(std::move(large), config_, {}), DataError);
}

TEST_F(DerivedImages, without_labels_are_labelled_and_have_no_group) {
  config_.derive = "rotated:180";
  detail::Tables tables = tables_of(3);
  tables.train.reset();
  tables.test->labels.reset();
  const auto source = detail::make_table_source(std::move(tables), config_, {.purpose = Purpose::prediction});
  EXPECT_EQ(source->size(Split::test), 6);
  EXPECT_EQ(source->group_count(), 0);
  EXPECT_TRUE(source->has_labels(Split::test));
  EXPECT_EQ(source->label(Split::test, 3), 1);
}

TEST_F(DerivedImages, a_label_that_is_none_is_named_by_its_image) {
  detail::Tables tables = tables_of(3);
  tables.train->labels->values[2] = -1;
  config_.derive = "rotated:30";
  try {
    detail::make_table_source(std::move(tables), config_, {});
    ADD_FAILURE() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("train/labels[2] is -1"));
  }
}

TEST_F(DerivedImages, of_real_numbers_are_refused) {
  config_.derive = "rotated:30";
  detail::Tables tables = tables_of(3);
  for (std::optional<detail::Table>* table : {&tables.train, &tables.test}) {
    (*table)->labels.reset();
    (*table)->targets = detail::RealArray{"train/labels", {3}, {1, 2, 3}};
  }
  EXPECT_THROW(detail::make_table_source(std::move(tables), config_, {.labels = Labels::numbers}), ConfigError);
  config_.derive = "none";
  config_.prepare = "rotate:180";
  tables = tables_of(3);
  for (std::optional<detail::Table>* table : {&tables.train, &tables.test}) {
    (*table)->labels.reset();
    (*table)->targets = detail::RealArray{"train/labels", {3}, {1, 2, 3}};
  }
  const auto source = detail::make_table_source(std::move(tables), config_, {.labels = Labels::numbers});
  EXPECT_EQ(source->target(Split::train, 2, 0), 3) << "prepared images may have them";
}

}  // namespace
}  // namespace switchyard::data
