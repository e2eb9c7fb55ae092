#include "data/options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "config/field_table.hpp"
#include "config/require.hpp"
#include "data/detail/image_steps.hpp"
#include "data/detail/source.hpp"
#include "data/detail/table_source.hpp"

namespace switchyard::data {

namespace detail {
SourceKind idx_source();
SourceKind cifar_source();
SourceKind image_source();
SourceKind hdf5_source();
SourceKind npy_source();
SourceKind csv_source();
SourceKind random_source();
SourceKind cluster_source();
SourceKind text_source();
SourceKind token_source();
}  // namespace detail

namespace {

using config::FieldTable;
using config::require;
using config::Role;
using config::Word;

constexpr std::array source_words = {Word{Source::idx, "idx"},       Word{Source::cifar, "cifar"},
                                     Word{Source::images, "images"}, Word{Source::hdf5, "hdf5"},
                                     Word{Source::npy, "npy"},       Word{Source::csv, "csv"},
                                     Word{Source::random, "random"}, Word{Source::clusters, "clusters"},
                                     Word{Source::text, "text"},     Word{Source::tokens, "tokens"}};
constexpr std::array normalise_words = {Word{Normalise::given, "given"}, Word{Normalise::channel, "channel"},
                                        Word{Normalise::feature, "feature"}};

constexpr FieldTable<Options> arithmetic{Role::arithmetic};
constexpr FieldTable<Options> training{Role::training};
constexpr FieldTable<Options> place{Role::source};
constexpr std::array fields = {
    free_in_evaluation(arithmetic.choice<&Options::source, source_words>(
        "source",
        "idx: the four files of MNIST's format; cifar: the binary version of CIFAR-10 or CIFAR-100; images: JPEG and PNG files in folders of classes; hdf5: data sets "
        "of an HDF5 file; npy: NumPy's files; csv: tables of text; random: made up; clusters: the clustered patches of Chen et al. 2022; text: the bytes of text files; tokens: a file "
        "that `switchyard corpus` wrote")),
    per_rank(place.text<&Options::dir>(
        "dir",
        "idx, cifar, images, npy, csv, text: the folder of the files; of idx, cifar, csv and text plain or .gz")),
    per_rank(place.text<&Options::file>("file", "hdf5, tokens: the file")),
    or_auto(arithmetic.integer<&Options::validation_samples>(
        "validation_samples", 0, config::largest_count,
        "idx, cifar, images, hdf5, npy, csv: taken from the training samples, where there are none for validation; auto: a "
        "tenth of them, 5,000 at most",
        "samples")),
    arithmetic.choice<&Options::validation_balanced, config::yes_no_words>(
        "validation_balanced",
        "idx, cifar, images, hdf5, npy, csv: yes: the same number of each class for validation; the first classes have one "
        "more where that does not divide"),
    or_auto(arithmetic.integer<&Options::test_samples>(
        "test_samples", 1, config::largest_count,
        "images, hdf5, npy, csv: taken from the training samples, where there are none for test; auto: a fifth of them, 10,000 "
        "at most",
        "samples")),
    arithmetic.choice<&Options::normalise, normalise_words>(
        "normalise",
        "idx, cifar, images, hdf5, npy, csv: channel, feature: mean and standard deviation are those of the training samples, of each "
        "channel or of each number of a sample; given: those below"),
    arithmetic.numbers<&Options::mean>(
        "mean", {}, "of numbers, or of pixels as value/255, for all channels or for each; subtracted"),
    arithmetic.numbers<&Options::standard_deviation>(
        "standard_deviation", config::above_zero,
        "of numbers, or of pixels as value/255, for all channels or for each; divided by"),
    arithmetic.choice<&Options::scale_targets, config::yes_no_words>(
        "scale_targets",
        "hdf5, npy, csv: yes: of labels that are real numbers the model learns (label - mean) / standard deviation, "
        "those of the training samples; predictions and errors are in the units of the data"),
    free_in_evaluation(arithmetic.text<&Options::derive>(
        "derive",
        "of each image, none or rotated:DEGREES: two samples, upright (label 0) and rotated counter-clockwise (label 1), "
        "with its class as their cluster")),
    free_in_evaluation(arithmetic.text<&Options::prepare>(
        "prepare",
        "of all images, once, none or words in their order: rotate:DEGREES, centre_crop:N or :HxW, resize:N or :HxW")),
    training.text<&Options::augment>(
        "augment",
        "of training images, drawn on each visit, none or words in their order: flip, crop:N, blur:WxH:A:B, rotate:A"),
    arithmetic.integer<&Options::seed>("seed", 0, std::numeric_limits<std::int64_t>::max(),
                                       "random, clusters: of the samples; 0: run.seed"),
    arithmetic.integer<&Options::window>(
        "window", 1, 65535,
        "text, tokens: of a sample; each has the next one as its target; of text "
        "4,095 at most",
        "bytes or tokens"),
    free_in_evaluation(arithmetic.integer<&Options::evaluation_samples>(
        "evaluation_samples", 0, config::largest_count,
        "text, tokens: of validation and of test at most so many windows, evenly spread; 0: all", "samples")),
    arithmetic.choice<&Options::pack, config::yes_no_words>(
        "pack",
        "tokens: yes: windows are cut from all documents of a domain, one behind the other; no: from each, and what "
        "is left of it is dropped"),
};

// In the order of Source.
constexpr std::array kinds = {detail::idx_source,    detail::cifar_source,   detail::image_source,
                              detail::hdf5_source,   detail::npy_source,     detail::csv_source,
                              detail::random_source, detail::cluster_source, detail::text_source,
                              detail::token_source};
static_assert(kinds.size() == as_size(Source::tokens) + 1 && kinds.size() == source_words.size());

detail::SourceKind kind_of(Source source) { return kinds[as_size(source)](); }

// Whether samples are images is known once they are read.
void validate_images(const Options& options, const detail::SourceKind& kind, std::string_view word) {
  const auto expect_images = [&](std::string_view key, const std::string& value, bool is_set) {
    require(!is_set || kind.reads_images,
            "data.{} = {} with data.source = {} (its samples are no images); set data.{} = none", key, value,
            word, key);
  };
  expect_images("derive", options.derive, detail::parse_derive(options.derive).has_value());
  expect_images("prepare", options.prepare, !detail::parse_prepare(options.prepare).empty());
  expect_images("augment", options.augment, !detail::parse_augment(options.augment).empty());
}

}  // namespace

std::vector<config::Section> sections() {
  std::vector<config::Section> all;
  all.push_back({"data", "the samples", fields});
  for (const auto& [source, word] : source_words) {
    std::optional<config::Section> own = kind_of(source).section;
    if (!own) continue;
    own->is_in_use = [source = source](const void* whole) {
      return static_cast<const Options*>(whole)->source == source;
    };
    own->condition = fmt::format("data.source = {}", word);
    all.push_back(*std::move(own));
  }
  return all;
}

void validate(const Options& options) {
  const std::string_view word = std::ranges::find(source_words, options.source, &Word<Source>::value)->name;
  const detail::SourceKind kind = kind_of(options.source);
  require(
      kind.reads_one_file || options.file.empty(),
      "data.file = {} with data.source = {} (only data.source = hdf5 and tokens read one file); remove it{}",
      options.file, word, kind.reads_files ? ", and give the folder of the files with data.dir" : "");
  require(!kind.reads_files || kind.reads_one_file || !options.dir.empty(),
          "data.dir is empty (data.source = {} reads its files there); give the folder, on the command line "
          "with --data.dir=FOLDER",
          word);
  require(!kind.reads_one_file || !options.file.empty(),
          "data.file is empty (data.source = {} reads it); give {}, on the command line with --data.file=FILE",
          word,
          kind.has_tokens ? "a file that `switchyard corpus` wrote" : "an HDF5 file of samples and labels");
  require(kind.divides_files || !options.validation_balanced,
          "data.validation_balanced = yes with data.source = {} (it has no training files to take validation "
          "samples from); remove it",
          word);
  require(
      kind.takes_test_samples || options.test_samples == config::automatic_count,
      "data.test_samples = {} with data.source = {} (only images, hdf5, npy and csv take test samples from those of "
      "training); remove it",
      options.test_samples, word);
  require(
      kind.read_tables != nullptr || options.normalise == Normalise::given,
      "data.normalise is set with data.source = {} (only idx, cifar, images, hdf5, npy and csv learn it from the samples); remove it, or "
      "set data.mean and data.standard_deviation",
      word);
  require(options.validation_samples != 0 || !options.validation_balanced,
          "data.validation_balanced = yes with data.validation_samples = 0 (there is no validation split); "
          "remove one of them");
  const Options defaults;
  const bool scales_given =
      options.mean != defaults.mean || options.standard_deviation != defaults.standard_deviation;
  require(
      options.normalise == Normalise::given || !scales_given,
      "data.mean or data.standard_deviation is set, and data.normalise, too (which takes those of the samples); "
      "remove one of them");
  require(kind.has_pixels || !scales_given,
          "data.mean or data.standard_deviation is set with data.source = {} (its samples are numbers, not "
          "pixels); remove them",
          word);
  require(!kind.reads_files || options.seed == 0,
          "data.seed = {} with samples from files (they need no seed); remove it", options.seed);
  require(kind.has_tokens || options.window == defaults.window,
          "data.window = {} with data.source = {} (only text and tokens are cut into windows); remove it",
          options.window, word);
  require(
      kind.has_tokens || options.evaluation_samples == 0,
      "data.evaluation_samples = {} with data.source = {} (only the windows of text and tokens are thinned out for "
      "evaluations); remove it",
      options.evaluation_samples, word);
  require(kind.reads_one_file || options.pack,
          "data.pack = no with data.source = {} (only tokens have documents that "
          "are packed); remove it",
          word);
  validate_images(options, kind, word);
  if (kind.validate) kind.validate(options);
}

bool reads_files(const Options& options) { return kind_of(options.source).reads_files; }
bool reads_tokens(const Options& options) { return kind_of(options.source).has_tokens; }
bool reads_images(const Options& options) { return kind_of(options.source).reads_images; }
bool has_tables(const Options& options) { return kind_of(options.source).read_tables != nullptr; }
bool reads_tables(const Options& options) { return kind_of(options.source).takes_test_samples; }

std::string describe(const Options& options) { return kind_of(options.source).describe(options); }

std::string describe_images(const Options& options) {
  std::string text;
  for (const auto& [what, steps] :
       {std::pair{"derived", options.derive}, {"prepared", options.prepare}, {"augmented", options.augment}}) {
    if (steps != "none") text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", what, steps);
  }
  return text;
}

std::unique_ptr<const detail::SampleSource> detail::make_source(const Options& options, std::uint64_t seed,
                                                                const Reading& reading) {
  const SourceKind kind = kind_of(options.source);
  const std::string_view word = std::ranges::find(source_words, options.source, &Word<Source>::value)->name;
  if (reading.labels == Labels::numbers && !kind.has_real_labels)
    throw ConfigError(fmt::format(
        "model.loss is of real numbers, and labels of data.source = {} are classes; use hdf5, npy or csv, or "
        "another model.loss",
        word));
  if (kind.read_tables == nullptr) return kind.make(options, seed);
  return make_table_source(kind.read_tables(options, reading), options, reading);
}

}  // namespace switchyard::data
