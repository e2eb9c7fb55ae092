// What a configuration says about the samples: [data], and a section for each source that has keys of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/schema.hpp"

namespace switchyard::data {

enum class Source { idx, cifar, images, hdf5, npy, csv, random, clusters, text, tokens };
// Which of CIFAR-100's two labels a sample has.
enum class LabelLevel { fine, coarse };

// Where the mean and the standard deviation of numbers come from: data.mean and data.standard_deviation, or the
// training samples, for each channel or for each number of a sample.
enum class Normalise { given, channel, feature };

struct CifarOptions {
  LabelLevel labels = LabelLevel::fine;  // of CIFAR-100
};

// How many channels images get: as many as the most colourful of them has, or one or three.
enum class ImageChannels { automatic, grey, colour };

struct ImageOptions {
  ImageChannels channels = ImageChannels::automatic;
  std::string size;  // HEIGHTxWIDTH to which all are resized; empty: all have one size
};

struct CsvOptions {
  std::string label = "label";  // the column of the labels
  std::string cluster;          // ... of the clusters; empty: there are none
  std::string id;               // ... of the ids; empty: there are none
  std::string weight;           // ... of the samples' weights; empty: there are none
};

struct RandomOptions {
  std::int64_t samples = 4096;  // for training; a quarter of it for validation and for test
  std::int64_t features = 256;
  std::int64_t classes = 10;
};

// Definition 3.1 of Chen et al. 2022; ranges are those of its uniform draws.
struct ClusterOptions {
  std::int64_t count = 4;
  std::int64_t patches = 4;
  std::int64_t patch_size = 50;
  std::int64_t samples = 16000;  // for training, and as many for test
  double signal_min = 0.5;       // alpha
  double signal_max = 2;
  double center_min = 1;  // beta
  double center_max = 2;
  double noise_min = 0.5;  // gamma
  double noise_max = 3;
  double patch_noise = 1;  // sigma_p
  double scale = 10;       // multiplies every number of a sample
};

struct Options {
  Source source = Source::idx;
  std::string dir;   // the folder of the files
  std::string file;  // hdf5, tokens: the file
  // Taken from the training files where there are none for validation; automatic: a tenth of them, 5,000 at
  // most.
  std::int64_t validation_samples = config::automatic_count;
  bool validation_balanced = false;  // the same number of each class
  // images, hdf5, npy, csv: taken from the training files where there are none for test; automatic: a fifth of
  // them, 10,000 at most.
  std::int64_t test_samples = config::automatic_count;
  Normalise normalise = Normalise::given;
  // Of numbers, and of pixels as value/255; one for all channels or one for each.
  std::vector<double> mean = {0};
  std::vector<double> standard_deviation = {1};
  // What is done to images before they are samples: two labelled ones are made of each, then steps that change
  // all of them; and to those of training on each visit (data/detail/image_steps.hpp).
  std::string derive = "none";
  std::string prepare = "none";
  std::string augment = "none";
  bool scale_targets = false;  // labels that are real numbers, by their mean and deviation in training
  std::uint64_t seed = 0;      // of samples that are made up; 0: run.seed
  std::int64_t window = 128;   // text, tokens: bytes or tokens of a sample
  // text, tokens: at most so many windows of validation and of test, evenly spread; 0: all.
  std::int64_t evaluation_samples = 0;
  bool pack = true;  // tokens: windows go on from one document into the next of its domain
  CifarOptions cifar;
  ImageOptions images;
  CsvOptions csv;
  RandomOptions random;
  ClusterOptions clusters;
};

// [data] and those of the sources.
std::vector<config::Section> sections();

// ConfigError for what has no meaning together.
void validate(const Options& options);

// The sources that read files, in options.dir or options.file; all others make their samples up.
bool reads_files(const Options& options);
// Those of them whose samples may be images.
bool reads_images(const Options& options);
// Those whose samples are a user's own, with labels: arrays, tables of text, images.
bool reads_tables(const Options& options);

// Those whose samples are rows with labels in files, whoever wrote them.
bool has_tables(const Options& options);

// Those whose samples are windows of tokens.
bool reads_tokens(const Options& options);

// The samples in a few words.
std::string describe(const Options& options);
// What is done to images, in a few words; empty: nothing.
std::string describe_images(const Options& options);

}  // namespace switchyard::data
