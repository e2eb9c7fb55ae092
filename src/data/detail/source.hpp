// Where a Dataset's samples come from: the interface of a source.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.hpp"
#include "base/span.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "tensor/view.hpp"

namespace switchyard::data::detail {

// What a source is asked for; Dataset's checks have passed.
struct Request {
  Split split;
  Span<const index_t> samples;
  Span<const PixelTable> normalised;   // of pixels, one per channel; none where there are scales by feature
  const Normalisation* normalisation;  // what they are made of
  std::optional<Visit> visit;
};

class NumberArray;
struct Tables;

class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual const tensor::SampleShape& shape() const = 0;
  virtual index_t class_count() const = 0;
  virtual index_t size(Split split) const = 0;
  // How many there are, also where evaluations take some of them alone.
  virtual index_t held(Split split) const { return size(split); }
  // Kinds of samples besides classes, for analysis: 0 if the data say none.
  virtual index_t group_count() const { return 0; }
  virtual std::vector<std::string> group_names() const { return {}; }
  // As Dataset::window: a source of sequences has no rows of floats and no labels of samples.
  virtual index_t window() const { return 0; }
  // As Dataset's.
  virtual std::string_view token_name() const { return "byte"; }
  virtual std::string_view vocabulary_model() const { return {}; }
  virtual double bytes_per_token(Split) const { return 1; }
  // Whether numbers are pixels, value / 255.
  virtual bool has_pixels() const { return false; }
  // Of the numbers of a sample, where the data have names for them.
  virtual std::vector<std::string> feature_names() const { return {}; }
  // By label, where the data have names for classes.
  virtual std::vector<std::string> class_names() const { return {}; }
  virtual const Normalisation* learned_normalisation() const { return nullptr; }
  // Whether a normalisation may have a mean for each number of a sample, not only for each channel.
  virtual bool scales_features() const { return false; }
  virtual std::int32_t end_of_document() const { return -1; }
  virtual void fill_tokens(Split, Span<const index_t> /*samples*/, Span<std::int32_t> /*tokens*/,
                           Span<std::int32_t> /*targets*/) const {}
  // All samples of a split side by side, if the source holds them as floats; else null.
  virtual const float* rows(Split) const { return nullptr; }
  // Of all samples that it holds, in the memory of every rank.
  virtual index_t held_bytes() const { return 0; }
  // Whether a visit changes training samples.
  virtual bool augments() const { return false; }
  // As Dataset::fill.
  virtual void fill(const Request& request, tensor::Matrix rows) const = 0;
  // All samples and labels, or what they are a function of; not how they are split. The same for the same
  // samples, wherever and however they are stored.
  virtual void add_content(ContentHash& hash) const = 0;
  virtual std::int32_t label(Split split, index_t sample) const = 0;
  virtual std::int32_t group(Split, index_t /*sample*/) const { return 0; }
  // Where labels are real numbers (class_count() is then 0): how many a sample has, and each as the data have
  // it.
  virtual index_t target_count() const { return 0; }
  virtual bool has_flat_targets() const { return true; }
  virtual double target(Split, index_t /*sample*/, index_t /*target*/) const { return 0; }
  // By which samples count, as the data have them; and the mean of those of training.
  virtual bool has_weights(Split) const { return false; }
  virtual double weight(Split, index_t /*sample*/) const { return 1; }
  virtual double weight_unit() const { return 1; }
  // As Dataset's.
  virtual bool has_labels(Split) const { return true; }
  virtual std::int64_t id(Split, index_t sample) const { return sample; }
  virtual bool has_ids(Split) const { return false; }
  // As Dataset's.
  virtual index_t file_samples(Split split) const { return size(split); }
  virtual std::vector<std::string> remarks() const { return {}; }
  // Of ids, which add_content() leaves out.
  virtual void add_ids(ContentHash& /*hash*/) const {}
  // The array that a split's samples are in, if it has one of its own; else null.
  virtual const NumberArray* stored(Split) const { return nullptr; }
};

// One of data.source: a row of the table in data/options.cpp.
struct SourceKind {
  bool reads_files = false;         // in data.dir; else samples are made up
  bool reads_one_file = false;      // data.file, in place of those in data.dir
  bool reads_images = false;        // its samples may have a height
  bool divides_files = false;       // validation samples are some of the training files'
  bool has_real_labels = false;     // labels may be real numbers
  bool takes_test_samples = false;  // from those of training, where there are none for test
  bool has_pixels = true;           // or numbers, which data.mean and data.standard_deviation normalise
  bool has_tokens = false;          // in windows, and neither rows nor labels
  std::optional<config::Section> section = {};  // its own keys, in Options
  std::string (*describe)(const Options& options);
  // Blocking and local; as load_dataset(). Tables (table_source.hpp), or what is made of anything else; `seed`:
  // of what is made up.
  Tables (*read_tables)(const Options& options, const Reading& reading) = nullptr;
  std::unique_ptr<const SampleSource> (*make)(const Options& options, std::uint64_t seed) = nullptr;
  void (*validate)(const Options& options) = nullptr;  // ConfigError for what has no meaning together
};

std::unique_ptr<const SampleSource> make_source(const Options& options, std::uint64_t seed,
                                                const Reading& reading);

}  // namespace switchyard::data::detail
