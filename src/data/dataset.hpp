// The samples of a run: three splits of samples with labels, handed out as rows of floats.
//
// data: data sets, the order of samples, batches. No communication: every rank holds the whole data set.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "tensor/tensor.hpp"
#include "tensor/view.hpp"

namespace switchyard::data {

struct Options;

namespace detail {
class SampleSource;
}

enum class Split { train, validation, test };

// What data are read for. A model predicts without labels, and of splits without samples to train on: idx,
// images, hdf5, npy and csv may then lack both. To be converted, splits are what the files hold, and no samples
// are taken from those of training.
enum class Purpose { training, prediction, conversion };
// What a label is: the number of a class, or real numbers, the targets of a regression.
enum class Labels { classes, numbers };
struct Reading {
  Purpose purpose = Purpose::training;
  Labels labels = Labels::classes;
  // Of a conversion: the folder where numbers wait that memory is too small for; empty: all stay in memory.
  std::string spool_folder = {};

  bool needs_labels() const { return purpose != Purpose::prediction; }
};

// A visit of training to its samples: what augmentation depends on besides the sample. 0 <= epoch < 2^32.
struct Visit {
  std::uint64_t seed = 0;  // the run's
  index_t epoch = 0;
};

// How a pixel becomes a number, (value / 255 - mean) / standard_deviation, and a number another one.
struct Normalisation {
  std::vector<double> mean;  // one per channel, or per number of a sample
  std::vector<double> standard_deviation;
};

// By pixel value.
using PixelTable = std::array<float, 256>;

// What a data set is, whichever folder it was read from: so ranks, and a run and what goes on with it, tell
// whether theirs are one.
struct Identity {
  index_t training_samples = 0;
  index_t validation_samples = 0;
  index_t test_samples = 0;
  std::string digest;  // of all samples and labels: pixels before normalisation, images as they are prepared

  bool operator==(const Identity&) const = default;
};
// "300 training, 0 validation and 100 test samples with the digest 1f00..."
std::string describe(const Identity& identity);

// Immutable after construction: any number of threads may fill from it at once.
class Dataset {
 public:
  Dataset(std::unique_ptr<const detail::SampleSource> source, const Normalisation& normalisation);
  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;
  ~Dataset();

  const tensor::SampleShape& shape() const;
  // Labels lie in [0, class_count); 0: they are real numbers, target_count() of a sample.
  index_t class_count() const;
  index_t target_count() const;
  index_t size(Split split) const;
  const Identity& identity() const { return identity_; }
  // Groups lie in [0, group_count): clusters or coarse labels, for analysis only. 0: the data have none.
  index_t group_count() const;
  // Of the groups, where the data have names for them.
  std::vector<std::string> group_names() const;
  // Tokens of a sample that is a sequence of them. Such data have no rows and labels but fill_tokens(). 0:
  // samples are rows of floats.
  index_t window() const;
  // "byte" or "token": what a token is called. Only where samples are sequences.
  std::string_view token_name() const;
  // Of tokens that are pieces of a vocabulary, that one's model, as SentencePiece reads it
  // (data/vocabulary.hpp); else empty.
  std::string_view vocabulary_model() const;
  // Of the text that the targets of a split's windows stand for. Losses per byte are comparable between
  // vocabularies: (loss of a token / bytes_per_token). 1 where a token is a byte; 0 for a split without
  // samples.
  double bytes_per_token(Split split) const;
  // Whether numbers are pixels, value / 255, before they are scaled.
  bool has_pixels() const;
  // Of the numbers of a sample, where the data have names for them.
  std::vector<std::string> feature_names() const;
  // By label, where the data have names for classes.
  std::vector<std::string> class_names() const;
  // Whether there may be a scale for each number of a sample, and not only for each channel.
  bool scales_features() const;
  // In place of the scales that the options gave: one for each channel, or number. Before the data are used.
  void scale_by(Normalisation normalisation);
  // What data.normalise took from the training samples; null where it did not.
  const Normalisation* learned_normalisation() const;
  // The token behind each document, where a window may go on with the next one; else -1.
  std::int32_t end_of_document() const;
  // Of data without labels, of which a model of so many targets predicts. Before the data are used.
  void assume_targets(index_t count);
  // What a model learns of a target t is (t - mean) / standard_deviation; null: t itself. One of each for a
  // target.
  const Normalisation* target_scales() const;
  // In place of those that data.scale_targets gave. Before the data are used.
  void scale_targets_by(Normalisation scales);
  // Of each target over the split, as a model sees it.
  Vector<double> target_variances(Split split) const;
  // As the data have it.
  double target(Split split, index_t sample, index_t target) const;
  // Whether labels have one dimension, so that predictions do, too.
  bool has_flat_targets() const;
  // Whether samples have weights, by which those of training count.
  bool has_weights(Split split) const;
  // What losses are means over and rates count: "samples", or "bytes" or "tokens" of them.
  std::string_view counted() const;
  // Whether fill_labels() is of labels that the data have, and not of zeros.
  bool has_labels(Split split) const;
  // What the data call a sample; else its place among those of the file that it is from, from 0. Of two that
  // data.derive makes of an image, twice that, and once more.
  std::int64_t id(Split split, index_t sample) const;
  // Whether the data themselves call samples so.
  bool has_ids(Split split) const;
  // What tells two readings of ids apart; they are no part of the identity.
  std::string ids_digest() const;
  // How many samples the file holds that the split's are from: more than the split has where it is divided. Of
  // derived ones, as many as are derived from all of the file.
  index_t file_samples(Split split) const;
  // Sentences about what in the files is probably not meant so.
  std::vector<std::string> remarks() const;
  // Where samples come from: for data alone.
  const detail::SampleSource& source() const { return *source_; }
  // All samples of the split as floats, [size, features], if the data set holds them so: batches then point to
  // them. Else null.
  const float* rows(Split split) const;

  // Of samples in memory, in whatever form they have there, which every rank holds.
  index_t held_bytes() const;

  // Whether a visit changes the samples of the split.
  bool is_augmented(Split split) const;

  // Row i of `images` becomes sample samples[i] of the split: its pixels (channel, then height, then width)
  // normalised in double and rounded once, or the floats that the data set holds. With a visit, samples are
  // augmented if data.augment says so, each as a function of (seed, epoch, sample); without one, as in
  // evaluation, never. Samples may repeat. Allocates nothing. Contract: images is samples.size() x features,
  // every sample in [0, size(split)); a visit is to the training split.
  void fill(Split split, Span<const index_t> samples, tensor::Matrix images,
            const std::optional<Visit>& visit = {}) const;
  // labels[i], groups[i] of samples[i]; the contract is fill's.
  void fill_labels(Split split, Span<const index_t> samples, Span<std::int32_t> labels) const;
  void fill_groups(Split split, Span<const index_t> samples, Span<std::int32_t> groups) const;
  // Row i is of samples[i], scaled: samples.size() x target_count().
  void fill_targets(Split split, Span<const index_t> samples, tensor::Matrix targets) const;
  // Of training samples: their weights, divided by the mean of all.
  void fill_weights(Span<const index_t> samples, Span<float> weights) const;
  // tokens[i * window() + t], and in targets the one that follows it, in [0, class_count); otherwise as fill.
  void fill_tokens(Split split, Span<const index_t> samples, Span<std::int32_t> tokens,
                   Span<std::int32_t> targets) const;

 private:
  void expect_samples(Split split, Span<const index_t> samples) const;
  double scaled_target(Split split, index_t sample, index_t target) const;

  std::unique_ptr<const detail::SampleSource> source_;
  Normalisation normalisation_;
  std::vector<PixelTable> normalised_;  // one per channel
  index_t target_count_ = 0;
  std::optional<Normalisation> target_scales_;
  Identity identity_;
};

// Loads the data set that [data] describes.
//
// What data.derive and data.prepare ask for is done to images once they are read; data.augment on a visit.
//
// source = idx: train-{images-idx3,labels-idx1}-ubyte and t10k-... in data.dir, plain or .gz; their numbers may
// be of any type of the format, and images have 1 to 4 dimensions. The validation
// split is `validation_samples` of the training files' samples, chosen by a permutation that depends on nothing
// but their number: runs with different seeds, and resumed runs, share it. Both splits keep the files' order.
// With `validation_balanced` it has as many samples of each class.
// source = cifar: the binary version of CIFAR-10 or CIFAR-100, whichever data.dir holds, plain or .gz; the
// validation split is made alike. Fine labels of CIFAR-100 have their coarse labels as groups.
// source = images: data.dir/SPLIT/CLASS/*.jpg and the like; classes are numbered in the order of their names,
// and samples lie class by class, each in the order of files' names.
// source = random: learnable noise, made on the fly as a pure function of (seed, split, sample); source =
// clusters: the patches of Chen et al. 2022, such a function too, drawn once and held as floats by every rank
// (26 MB for the published sizes). Their seed is data.seed, or `seed` if that is 0.
// source = text: windows of the bytes of *.txt and *.txt.gz in data.dir, each file a group. A file is cut into
// documents: behind the first line break at or after 4,096 bytes, or after 8,192. A document's bytes alone say
// its split, a tenth for test and for validation each, so that one that occurs twice is never in two.
//
// source = tokens: windows of the documents in data.file (data/corpus.hpp), which says their splits; each
// domain a group. With data.pack windows go on from a document into the next one of its domain and split.
//
// Blocking and local; on many ranks each rank calls it, and a failure is one rank's until the caller agrees on
// it. Throws DataError for a file that is missing, damaged or at odds with another, ConfigError for a
// validation split that leaves no training sample or none of a class, text without a training or a test sample,
// coarse labels of CIFAR-10, labels that are to be real numbers of a source that has classes, and numbers of
// data.mean or data.standard_deviation that are neither one nor one per channel.
Dataset load_dataset(const Options& options, std::uint64_t seed, const Reading& reading = {});

}  // namespace switchyard::data
