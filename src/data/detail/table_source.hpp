// Samples that a user has as arrays: a table of rows with labels for each split, whatever file they come from.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/detail/number_array.hpp"
#include "data/detail/source.hpp"

namespace switchyard::data::detail {

// A whole number for each sample, and what to call it in a message: "own.h5: train/labels".
struct LabelArray {
  std::string name;
  std::vector<std::int64_t> values;
  // In messages: elements of an array count from 0, rows of a table of text, as people see them, from 1.
  bool is_column = false;
};

// One real number for each sample, or several: count, or count x targets.
struct RealArray {
  std::string name;
  tensor::Shape shape;
  std::vector<double> values;
  bool is_column = false;  // as of a LabelArray

  index_t columns() const { return shape.size() > 1 ? shape[1] : 1; }
};

// What they are called in a file: samples first.
inline constexpr std::array<std::string_view, 5> array_names = {"samples", "labels", "clusters", "ids",
                                                                "weights"};

struct Table {
  NumberArray samples;  // count, count x features, count x height x width, or with channels before them
  std::optional<LabelArray> labels = {};  // or targets; a prediction does without both
  std::optional<LabelArray> clusters = {}, ids = {};
  std::optional<RealArray> targets = {}, weights = {};
};

// Splits that are not there are taken from the training samples, as data.validation_samples and
// data.test_samples say. Without training samples (to predict) they are empty, and one at least is there.
struct Tables {
  std::optional<Table> train = {}, validation = {}, test = {};
  std::vector<std::string> feature_names = {};    // if the numbers of a sample have names
  index_t least_classes = 0, least_clusters = 0;  // where there are more than the largest number says
  std::vector<std::string> class_names = {}, cluster_names = {};  // if they have names, by label
  index_t rows_of_one = 1;                // neighbours that are made of one thing, and are in one split
  std::vector<std::string> remarks = {};  // as Dataset's
};

// Behind a message that labels are no whole numbers.
inline constexpr std::string_view regression_hint = "; to learn real numbers, set model.loss = squared_error";
constexpr std::string_view hint_at_labels(const Reading& reading) {
  return reading.purpose == Purpose::prediction ? "; the model was trained on classes" : regression_hint;
}

// Images are derived and prepared first, as data.derive and data.prepare say, but not to be converted. Reads
// all numbers once, for their digest and to see that they are finite. Throws DataError, which names the array
// and the row, for tables at odds with each other, labels that are negative or too large, weights that are
// negative or all 0, and numbers that are not finite; ConfigError as load_dataset().
std::unique_ptr<const SampleSource> make_table_source(Tables tables, const Options& options,
                                                      const Reading& reading);

}  // namespace switchyard::data::detail
