#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "support/allocation_counter.hpp"
#include "support/config_error.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

using test::Encoding;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr Split splits[] = {Split::train, Split::validation, Split::test};

// Bytes of every value; a line has `line_bytes` on average.
std::string noise(std::uint32_t seed, std::size_t bytes, std::uint32_t line_bytes) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) {
    const auto byte = static_cast<char>(random() % 256);
    if (byte != '\n') text += random() % line_bytes == 0 ? '\n' : byte;
  }
  return text;
}

// As docs/data.md says it.
std::vector<std::string> documents_of(std::string text) {
  std::vector<std::string> documents;
  while (!text.empty()) {
    const std::size_t line_break = text.find('\n', 4096 - 1);
    const std::size_t end =
        std::min(line_break == std::string::npos ? text.size() : line_break + 1, text.size());
    documents.push_back(text.substr(0, std::min(end, std::size_t{8192})));
    text.erase(0, documents.back().size());
  }
  return documents;
}

Split split_of(const std::string& document) {
  ContentHash hash;
  hash.add(std::as_bytes(Span(document)));
  const unsigned long tenth = std::stoul(hash.hex().substr(0, 4), nullptr, 16) * 10 / 65536;
  return tenth == 0 ? Split::test : tenth == 1 ? Split::validation : Split::train;
}

struct Sample {
  std::string tokens;
  std::string targets;
  int group = 0;

  auto operator<=>(const Sample&) const = default;
};

std::string text_of(const std::vector<std::int32_t>& tokens, index_t begin, index_t count) {
  std::string text;
  for (index_t i = begin; i < begin + count; ++i) {
    const std::int32_t token = tokens[static_cast<std::size_t>(i)];
    EXPECT_TRUE(token >= 0 && token < 256) << token;
    text += static_cast<char>(token);
  }
  return text;
}

std::vector<Sample> read(const Dataset& dataset, Split split, const std::vector<index_t>& samples) {
  const index_t window = dataset.window();
  std::vector<std::int32_t> tokens(samples.size() * static_cast<std::size_t>(window), -1), targets = tokens;
  std::vector<std::int32_t> groups(samples.size(), -1);
  dataset.fill_tokens(split, samples, tokens, targets);
  dataset.fill_groups(split, samples, groups);
  std::vector<Sample> found;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const index_t begin = static_cast<index_t>(i) * window;
    found.push_back({text_of(tokens, begin, window), text_of(targets, begin, window), groups[i]});
  }
  return found;
}

std::vector<Sample> read_all(const Dataset& dataset, Split split) {
  std::vector<index_t> samples(static_cast<std::size_t>(dataset.size(split)));
  std::iota(samples.begin(), samples.end(), index_t{0});
  return read(dataset, split, samples);
}

class TextData : public testing::Test {
 protected:
  TextData() {
    config_.source = Source::text;
    config_.dir = dir_.path().string();
  }

  std::filesystem::path write(const std::string& name, const std::string& text,
                              Encoding encoding = Encoding::plain) {
    return test::write_file(dir_.path() / name, {text.begin(), text.end()}, encoding);
  }
  // Three domains, with documents for every split.
  void write_domains(Encoding encoding = Encoding::plain) {
    for (const auto& [domain, text] : domains_) write(domain + ".txt", text, encoding);
  }
  Dataset load() const { return load_dataset(config_, 1); }

  // Of domains_, the slow way.
  std::vector<Sample> expected(Split split) const {
    std::vector<Sample> samples;
    int group = 0;
    for (const auto& [domain, text] : domains_) {
      for (const std::string& document : documents_of(text)) {
        if (split_of(document) != split) continue;
        const auto window = static_cast<std::size_t>(config_.window);
        for (std::size_t at = 0; at + window + 1 <= document.size(); at += window)
          samples.push_back({document.substr(at, window), document.substr(at + 1, window), group});
      }
      ++group;
    }
    return samples;
  }

  template <class Failure>
  std::string failure() {
    try {
      load();
    } catch (const Failure& error) {
      EXPECT_THAT(error.what(), HasSubstr("; "));
      return error.what();
    }
    ADD_FAILURE() << "loaded without an error";
    return "";
  }

  std::map<std::string, std::string> domains_ = {{"code", noise(1, 300'000, 40)},
                                                 {"novels-1", noise(2, 500'000, 3000)},  // some without a break
                                                 {"poems", noise(3, 150'001, 20)}};
  test::TemporaryDirectory dir_;
  data::Options config_;
};

TEST_F(TextData, a_sample_is_a_window_and_what_follows_each_of_its_bytes) {
  write_domains();
  for (const index_t window : {1, 7, 128, 1000, 4095}) {
    config_.window = window;
    const Dataset dataset = load();
    EXPECT_EQ(dataset.window(), window);
    EXPECT_EQ(dataset.shape(), (tensor::SampleShape{1, 1, window}));
    EXPECT_EQ(dataset.class_count(), 256);
    EXPECT_EQ(dataset.group_count(), 3);
    EXPECT_THAT(dataset.group_names(), ElementsAre("code", "novels-1", "poems"));
    for (const Split split : splits) {
      EXPECT_EQ(dataset.rows(split), nullptr);
      EXPECT_FALSE(dataset.is_augmented(split));
      const std::vector<Sample> samples = read_all(dataset, split);
      EXPECT_GT(samples.size(), 3u);
      EXPECT_TRUE(samples == expected(split)) << window << ' ' << static_cast<int>(split);
    }
  }
}

TEST_F(TextData, is_told_in_known_answers) {
  // A break before 4,096 bytes ends nothing; the one behind the 8,192nd byte is the next document's.
  const std::string early = std::string(4094, 'a') + "\nb\n";     // 4,097
  const std::string exact = std::string(4095, 'c') + '\n';        // 4,096
  const std::string endless = std::string(8192, 'd');             // no break
  const std::string late = "\n" + std::string(5000, 'e') + "\n";  // 5,002
  const std::string last = std::string(100, 'f');
  EXPECT_THAT(documents_of(early + exact + endless + late + last),
              ElementsAre(early, exact, endless, late, last));
  domains_ = {{"a", early + exact + endless + late + last}, {"b", noise(4, 200'000, 50)}};
  write_domains();
  config_.window = 99;
  const Dataset dataset = load();
  std::vector<Sample> samples;
  for (const Split split : splits) {
    const std::vector<Sample> some = read_all(dataset, split);
    std::ranges::copy_if(some, std::back_inserter(samples), [](const Sample& s) { return s.group == 0; });
  }
  const auto count = [&](char byte) {
    return std::ranges::count(samples, byte, [](const Sample& sample) { return sample.tokens.front(); });
  };
  EXPECT_EQ(count('a'), 41);  // 4,096 = 41 * 99 + 37
  EXPECT_EQ(count('c'), 41);
  EXPECT_EQ(count('d'), 82);  // 8,191 = 82 * 99 + 73
  EXPECT_EQ(count('\n') + count('e'), 50);
  EXPECT_EQ(count('f'), 1);
  EXPECT_EQ(samples.size(), 215u);
  const auto first = std::ranges::find(samples, '\n', [](const Sample& sample) { return sample.tokens[0]; });
  ASSERT_NE(first, samples.end());
  EXPECT_EQ(first->tokens, "\n" + std::string(98, 'e'));
  EXPECT_EQ(first->targets, std::string(99, 'e'));
}

// What was trained on once must not be tested on after an update of the program.
TEST_F(TextData, a_document_stays_in_its_split_for_ever) {
  std::string text;
  for (char letter = 'a'; letter <= 'z'; ++letter) text += std::string(4095, letter) + '\n';
  write("letters.txt", text);
  config_.window = 4095;
  const Dataset dataset = load();
  std::string split_of_letter(26, '?');
  for (const Split split : splits) {
    for (const Sample& sample : read_all(dataset, split))
      split_of_letter[static_cast<std::size_t>(sample.tokens[0] - 'a')] =
          "-vt"[static_cast<std::size_t>(split)];
  }
  EXPECT_EQ(split_of_letter, "----t---vv----t--------tt-");
}

TEST_F(TextData, a_tenth_of_the_documents_is_for_test_and_another_for_validation) {
  domains_ = {{"all", noise(6, 8'400'000, 50)}};
  write_domains();
  config_.window = 4095;  // once in each document
  const Identity identity = load().identity();
  const auto documents =
      static_cast<double>(identity.training_samples + identity.validation_samples + identity.test_samples);
  EXPECT_NEAR(documents, 2000, 40);
  // 200 +- 13 each.
  EXPECT_NEAR(static_cast<double>(identity.test_samples), documents / 10, 54);
  EXPECT_NEAR(static_cast<double>(identity.validation_samples), documents / 10, 54);
}

TEST_F(TextData, what_occurs_twice_is_in_one_split) {
  std::vector<std::string> documents = documents_of(noise(7, 400'000, 50));
  documents.pop_back();  // which ends with the file, not with a line
  domains_.clear();
  for (const std::string& document : documents) domains_["forwards"] += document;
  std::ranges::reverse(documents);
  for (const std::string& document : documents) domains_["backwards"] += document + document;
  write_domains();
  config_.window = 4095;
  const Dataset dataset = load();
  std::map<std::string, std::set<Split>> splits_of;
  std::map<std::string, int> occurrences;
  for (const Split split : splits) {
    for (const Sample& sample : read_all(dataset, split)) {
      splits_of[sample.tokens].insert(split);
      ++occurrences[sample.tokens];
    }
  }
  EXPECT_EQ(splits_of.size(), documents.size());
  for (const auto& [tokens, in] : splits_of) {
    EXPECT_EQ(in.size(), 1u);
    EXPECT_EQ(occurrences[tokens], 3);
  }
}

TEST_F(TextData, samples_come_in_any_order_and_allocate_nothing) {
  write_domains();
  config_.window = 32;
  const Dataset dataset = load();
  const std::vector<Sample> all = read_all(dataset, Split::train);
  const std::vector<index_t> samples = {std::ssize(all) - 1, 0, 1234, 1234, 5};
  const std::vector<Sample> some = read(dataset, Split::train, samples);
  for (std::size_t i = 0; i < samples.size(); ++i)
    EXPECT_EQ(some[i], all[static_cast<std::size_t>(samples[i])]) << i;

  std::vector<std::int32_t> tokens(5 * 32), targets(5 * 32), groups(5);
  const std::int64_t before = allocations();
  dataset.fill_tokens(Split::train, samples, tokens, targets);
  dataset.fill_groups(Split::train, samples, groups);
  EXPECT_EQ(allocations() - before, 0);
}

TEST_F(TextData, refuses_what_does_not_fit_and_what_text_has_not) {
  write_domains();
  const Dataset dataset = load();
  const index_t size = dataset.size(Split::test);
  std::vector<std::int32_t> tokens(128), targets(128), more(129), one(1);
  const std::vector<index_t> good = {size - 1}, beyond = {size}, negative = {-1};
  dataset.fill_tokens(Split::test, good, tokens, targets);
  dataset.fill_tokens(Split::test, {}, {}, {});
  EXPECT_THROW(dataset.fill_tokens(Split::test, beyond, tokens, targets), ContractViolation);
  EXPECT_THROW(dataset.fill_tokens(Split::test, negative, tokens, targets), ContractViolation);
  EXPECT_THROW(dataset.fill_tokens(Split::test, good, more, targets), ContractViolation);
  EXPECT_THROW(dataset.fill_tokens(Split::test, good, tokens, more), ContractViolation);
  EXPECT_THROW(dataset.fill_labels(Split::test, good, one), ContractViolation);
  std::vector<float> row(128);
  EXPECT_THROW(dataset.fill(Split::test, good, {row.data(), 1, 128}), ContractViolation);
}

TEST_F(TextData, compressed_files_are_seen_from_their_content) {
  write_domains();
  const Dataset plain = load();
  for (const auto& [domain, text] : domains_) std::filesystem::remove(dir_.path() / (domain + ".txt"));
  write_domains(Encoding::gzip);
  // As unpackers and downloads name them.
  std::filesystem::rename(dir_.path() / "code.txt.gz", dir_.path() / "code.txt");
  write("poems.txt.gz", domains_["poems"]);
  const Dataset compressed = load();
  EXPECT_EQ(compressed.identity(), plain.identity());
  EXPECT_THAT(compressed.group_names(), ElementsAre("code", "novels-1", "poems"));
  for (const Split split : splits) EXPECT_TRUE(read_all(compressed, split) == read_all(plain, split));
}

TEST_F(TextData, other_files_are_not_read) {
  write_domains();
  const Identity identity = load().identity();
  for (const std::string name :
       {".hidden.txt", ".txt", ".txt.gz", "README", "notes.md", "a.txt.bak", "b.gz", "c.TXT"})
    write(name, "not read");
  std::filesystem::create_directory(dir_.path() / "more");
  write("more/d.txt", "not read");
  EXPECT_EQ(load().identity(), identity);
}

// "a" before "a-b" and "a.b", although a '-' comes before the '.' of "a.txt".
TEST_F(TextData, domains_are_in_the_order_of_their_names) {
  for (const std::string domain : {"b", "a.b", "a-b", "a", "B"}) write(domain + ".txt", noise(8, 200'000, 50));
  EXPECT_THAT(load().group_names(), ElementsAre("B", "a", "a-b", "a.b", "b"));
}

TEST_F(TextData, is_told_apart_by_its_names_and_bytes) {
  write_domains();
  const Identity first = load().identity();
  EXPECT_EQ(first, load_dataset(config_, 2).identity());

  config_.window = 64;
  EXPECT_EQ(load().identity().digest, first.digest);
  config_.window = 128;

  std::filesystem::rename(dir_.path() / "poems.txt", dir_.path() / "verse.txt");
  EXPECT_NE(load().identity().digest, first.digest);
  std::filesystem::rename(dir_.path() / "verse.txt", dir_.path() / "poems.txt");
  EXPECT_EQ(load().identity(), first);

  std::string changed = domains_["poems"];
  changed.back() = static_cast<char>(changed.back() ^ 1);
  write("poems.txt", changed);
  EXPECT_NE(load().identity().digest, first.digest);

  // Names and bytes in the same order, some bytes in another domain.
  write("poems.txt", "poems" + domains_["poems"]);
  const Identity apart = load().identity();
  write("poems.txt", domains_["poems"]);
  write("novels-1.txt", domains_["novels-1"] + "poems");
  EXPECT_NE(load().identity().digest, apart.digest);
}

TEST_F(TextData, a_folder_that_is_none_or_has_no_text_says_so) {
  EXPECT_THAT(failure<DataError>(), AllOf(HasSubstr(config_.dir + " holds no text"), HasSubstr("*.txt.gz")));
  write(".hidden.txt", "text");
  EXPECT_THAT(failure<DataError>(), HasSubstr("holds no text"));
  config_.dir = (dir_.path() / "absent").string();
  EXPECT_THAT(failure<DataError>(), HasSubstr("absent cannot be read (No such file or directory)"));
  config_.dir = (dir_.path() / ".hidden.txt").string();
  EXPECT_THAT(failure<DataError>(), HasSubstr("cannot be read (Not a directory)"));
  config_.dir = "";
  EXPECT_THAT(failure<ConfigError>(), HasSubstr("data.dir is empty"));
}

TEST_F(TextData, a_domain_is_one_file) {
  write_domains();
  write("poems.txt", domains_["poems"], Encoding::gzip);
  EXPECT_THAT(failure<DataError>(), HasSubstr((dir_.path() / "poems.txt").string() +
                                              " and poems.txt.gz are both of the domain poems"));
}

TEST_F(TextData, too_many_files_are_refused) {
  for (int i = 0; i < 1023; ++i) write(fmt::format("{}.txt", i), "a");
  write("long.txt", noise(9, 300'000, 50));
  EXPECT_EQ(load().group_count(), 1024);
  write("one.txt", "a");
  EXPECT_THAT(failure<DataError>(),
              HasSubstr("holds 1025 text files (each is a domain, of which there may be 1024)"));
}

TEST_F(TextData, empty_and_unreadable_files_are_named) {
  write_domains();
  const std::filesystem::path file = write("empty.txt", "", Encoding::gzip);
  EXPECT_THAT(failure<DataError>(), HasSubstr(file.string() + " is empty"));
  std::filesystem::remove(file);
  std::filesystem::create_directory(dir_.path() / "folder.txt");
  EXPECT_THAT(failure<DataError>(), HasSubstr("folder.txt cannot be opened (it is a folder)"));
  std::filesystem::remove(dir_.path() / "folder.txt");
  const std::filesystem::path damaged = write("damaged.txt", noise(10, 10'000, 50), Encoding::gzip);
  test::Bytes content = test::read_file(damaged);
  content.resize(content.size() - 6);
  test::write_file(damaged, content);
  EXPECT_THAT(failure<DataError>(), HasSubstr("damaged.txt.gz cannot be read to its end"));
}

// The first documents of noise of one split and none of another.
TEST_F(TextData, too_little_text_says_how_much_there_is) {
  std::map<Split, std::string> document_of;
  for (const std::string& document : documents_of(noise(11, 400'000, 50)))
    document_of[split_of(document)] = document;
  write("a.txt", document_of[Split::test] + document_of[Split::validation]);
  EXPECT_THAT(failure<ConfigError>(),
              AllOf(HasSubstr(config_.dir + " has no training sample"),
                    HasSubstr("0 for training, 1 for validation and 1 for test"),
                    HasSubstr("; add text, until there are 50 documents or so (200 KB")));
  write("a.txt", document_of[Split::train] + document_of[Split::validation]);
  EXPECT_THAT(
      failure<ConfigError>(),
      AllOf(HasSubstr("has no test sample"), HasSubstr("1 for training, 1 for validation and 0 for test"),
            HasSubstr("; add text, until there are 50 documents"), Not(HasSubstr("data.window"))))
      << "a smaller one gives none, either";
  std::string line = "1";
  while (split_of(line) != Split::test) line += "1";
  write("b.txt", line);
  EXPECT_THAT(failure<ConfigError>(),
              AllOf(HasSubstr("1 for training, 1 for validation and 1 for test"),
                    HasSubstr("data.window = 128 takes 129 bytes); add text, or lower data.window")));
  std::filesystem::remove(dir_.path() / "b.txt");
  write("a.txt", document_of[Split::train] + document_of[Split::test]);
  EXPECT_EQ(load().size(Split::validation), 0);
}

TEST_F(TextData, keys_of_other_sources_are_refused_and_its_own_elsewhere) {
  validate(config_);
  const auto error_of = [&](const std::function<void(data::Options&)>& change) {
    data::Options config = config_;
    change(config);
    const std::string error = test::config_error_of([&] { validate(config); });
    EXPECT_THAT(error, HasSubstr("; "));
    return error;
  };
  EXPECT_THAT(error_of([](data::Options& o) { o.dir = ""; }),
              HasSubstr("data.dir is empty (data.source = text"));
  EXPECT_THAT(error_of([](data::Options& o) { o.validation_samples = 0; }),
              HasSubstr("data.validation_samples = 0 with data.source = text"));
  EXPECT_THAT(error_of([](data::Options& o) { o.validation_balanced = true; }),
              HasSubstr("data.validation_balanced = yes with data.source = "));
  for (const auto change :
       {+[](data::Options& o) { o.mean = {0.5}; }, +[](data::Options& o) { o.standard_deviation = {0.5}; }})
    EXPECT_THAT(error_of(change), HasSubstr("is set with data.source = text (its samples are numbers"));
  EXPECT_THAT(error_of([](data::Options& o) { o.seed = 7; }),
              HasSubstr("data.seed = 7 with samples from files"));
  EXPECT_THAT(error_of([](data::Options& o) {
                o.source = Source::random;
                o.window = 64;
              }),
              HasSubstr("data.window = 64 with data.source = random"));
}

}  // namespace
}  // namespace switchyard::data
