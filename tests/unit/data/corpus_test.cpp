#include "data/corpus.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "files/regular_file.hpp"
#include "support/config_error.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;
using test::Encoding;
using testing::ElementsAre;
using testing::HasSubstr;

// A page of paragraphs that occur in no other.
std::string page(int number, std::size_t bytes = 900) {
  std::mt19937 random(static_cast<std::uint32_t>(number));
  std::string text = fmt::format("page {}\n\n", number);
  while (text.size() < bytes) {
    for (int word = 0; word < 12; ++word)
      text +=
          std::string(2, static_cast<char>('a' + random() % 26)) + static_cast<char>('a' + random() % 26) + " ";
    text += random() % 3 == 0 ? "\n\n" : "\n";
  }
  return text;
}

Split split_of(const std::string& document) {
  ContentHash hash;
  hash.add(std::as_bytes(Span(document)));
  const unsigned long tenth = std::stoul(hash.hex().substr(0, 4), nullptr, 16) * 10 / 65536;
  return tenth == 0 ? Split::test : tenth == 1 ? Split::validation : Split::train;
}

struct Read {
  int split, domain;
  std::string text;
  auto operator<=>(const Read&) const = default;
};

std::vector<Read> documents_of(const Corpus& corpus) {
  std::vector<Read> documents;
  for (index_t d = 0; d < corpus.documents(); ++d) {
    const IndexRange range = corpus.tokens_of(d);
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(range.size()));
    corpus.tokens.copy(range, tokens.data());
    EXPECT_EQ(tokens.back(), Vocabulary::end_of_document);
    const auto i = static_cast<std::size_t>(d);
    documents.push_back(
        {corpus.document_split[i], corpus.document_domain[i], corpus.vocabulary.decode(Span(tokens))});
  }
  return documents;
}

class CorpusOf : public testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& text, Encoding encoding = Encoding::plain) {
    const fs::path file = dir_.path() / name;
    fs::create_directories(file.parent_path());
    return test::write_file(file, {text.begin(), text.end()}, encoding);
  }
  std::string path(const std::string& name) const { return (dir_.path() / name).string(); }
  Corpus make(std::vector<std::string> inputs, index_t vocabulary = 300, const std::string& without = "") {
    return make_corpus({std::move(inputs), without, vocabulary}, [](const std::string&) {});
  }

  test::TemporaryDirectory dir_;
};

TEST_F(CorpusOf, a_folder_has_a_document_for_each_text_file) {
  std::vector<Read> expected;
  for (int i = 0; i < 60; ++i) {
    const std::string text = page(i);
    write(fmt::format("pages/{}/{:02}.{}", i % 3, i, i % 2 == 0 ? "rst" : "txt"), text,
          i % 5 == 0 ? Encoding::gzip : Encoding::plain);
    expected.push_back({static_cast<int>(split_of(text)), 0, text});
  }
  for (const char* name :
       {"pages/picture.png", "pages/.hidden.txt", "pages/.git/a.txt", "pages/left/a.txt", "pages/txt"})
    write(name, page(100));
  std::vector<Read> found = documents_of(make({path("pages")}, 300, "left"));
  std::ranges::sort(found);
  std::ranges::sort(expected);
  EXPECT_EQ(found, expected);
}

TEST_F(CorpusOf, a_file_is_cut_as_text_is) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += page(i);
  write("a.txt", text);
  const Corpus corpus = make({path("a.txt")});
  EXPECT_THAT(corpus.domains, ElementsAre("a"));
  std::size_t bytes = 0;
  for (const Read& document : documents_of(corpus)) {
    bytes += document.text.size();
    EXPECT_LE(document.text.size(), 8192U);
    EXPECT_NE(text.find(document.text), std::string::npos);
    EXPECT_EQ(document.split, static_cast<int>(split_of(document.text)));
  }
  EXPECT_EQ(bytes, text.size());
}

TEST_F(CorpusOf, documents_lie_by_split_then_domain_then_file) {
  for (int i = 0; i < 60; ++i) write(fmt::format("{}/{:02}.txt", i % 2 == 0 ? "z" : "a", i), page(i));
  const Corpus corpus = make({path("z"), "other=" + path("a")});
  EXPECT_THAT(corpus.domains, ElementsAre("z", "other"));
  std::tuple<int, int, int> last{0, 0, -1};
  for (const Read& document : documents_of(corpus)) {
    const std::tuple<int, int, int> now{document.split, document.domain, std::stoi(document.text.substr(5))};
    EXPECT_LT(last, now);
    EXPECT_EQ(std::get<2>(now) % 2, document.domain);
    last = now;
  }
  const auto counts = corpus.counts();
  for (std::size_t split = 0; split < 3; ++split) {
    for (std::size_t domain = 0; domain < 2; ++domain) {
      CorpusCount expected;
      for (int i = static_cast<int>(domain); i < 60; i += 2) {
        if (static_cast<std::size_t>(split_of(page(i))) != split) continue;
        ++expected.documents;
        expected.bytes += std::ssize(page(i));
      }
      EXPECT_EQ(counts[split][domain].documents, expected.documents);
      EXPECT_EQ(counts[split][domain].bytes, expected.bytes);
      EXPECT_GT(counts[split][domain].tokens, expected.documents);
    }
  }
}

TEST_F(CorpusOf, what_repeats_is_dropped_after_the_first) {
  const std::string licence = "All of this is free, and so are you, whatever anybody says.\nIndeed.\n";
  for (int i = 0; i < 30; ++i) write(fmt::format("a/{:02}.txt", i), page(i));
  write("a/90.txt", licence + " \t\n\nshort\n\n" + page(90));
  write("b/91.txt", "short\n\n" + licence.substr(0, licence.size() - 1) + "\r\n\n\nthe end\n\n" + page(91));
  write("b/92.txt", page(3));                    // a document of the other domain
  write("b/93.txt", page(93) + "\n" + licence);  // at the end
  const Corpus corpus = make({path("a"), path("b")});
  std::map<int, std::string> by_page;
  for (const Read& document : documents_of(corpus)) {
    const std::size_t at = document.text.find("page ");
    by_page[std::stoi(document.text.substr(at + 5))] += document.text;
  }
  EXPECT_EQ(by_page.at(3), page(3));
  EXPECT_EQ(by_page.at(90), licence + " \t\n\nshort\n\n" + page(90));
  EXPECT_EQ(by_page.at(91), "short\n\nthe end\n\n" + page(91));
  EXPECT_EQ(by_page.at(93), page(93) + "\n");
  EXPECT_EQ(by_page.size(), 33U);
  EXPECT_EQ(corpus.dropped_bytes, std::ssize(page(3)) + 2 * std::ssize(licence) + 3);
}

TEST_F(CorpusOf, the_same_text_is_the_same_file_that_reads_as_it_was_made) {
  for (int i = 0; i < 40; ++i) {
    write(fmt::format("one/pages/{:02}.txt", i), page(i));
    write(fmt::format("two/pages/{:02}.txt", i), page(i), Encoding::gzip);
  }
  write("one/other.txt", page(80, 9000));
  write("two/other.txt", page(80, 9000));
  const Corpus made = make({path("one/pages"), path("one/other.txt")});
  write_corpus(path("one.h5"), made);
  write_corpus(path("two.h5"), make({path("two/pages"), path("two/other.txt")}));
  EXPECT_EQ(files::read_regular_file(path("one.h5")), files::read_regular_file(path("two.h5")));

  const Corpus read = read_corpus(path("one.h5"));
  EXPECT_EQ(documents_of(read), documents_of(made));
  EXPECT_EQ(read.domains, made.domains);
  EXPECT_EQ(read.inputs, made.inputs);
  EXPECT_EQ(read.vocabulary.model(), made.vocabulary.model());
  EXPECT_EQ(read.document_begin, made.document_begin);
}

TEST_F(CorpusOf, a_large_vocabulary_takes_four_bytes_a_token) {
  TokenArray narrow(65536), wide(65537);
  for (TokenArray* tokens : {&narrow, &wide}) {
    const std::vector<std::int32_t> some{0, 65535, 1, 7};
    tokens->append(some);
    std::vector<std::int32_t> found(2);
    tokens->copy({1, 3}, found.data());
    EXPECT_THAT(found, ElementsAre(65535, 1));
    EXPECT_EQ((*tokens)[3], 7);
  }
  EXPECT_EQ(narrow.bytes().size(), 8U);
  EXPECT_EQ(wide.bytes().size(), 16U);
}

TEST_F(CorpusOf, bad_input_is_refused) {
  for (int i = 0; i < 30; ++i) write(fmt::format("a/{:02}.txt", i), page(i));
  for (int i = 0; i < 30; ++i) write(fmt::format("again/{:02}.txt", i), page(i));
  write("empty.txt", "");
  write("b/a.txt", page(50));
  write("pictures/a.png", page(51));
  EXPECT_THAT(test::config_error_of([&] { make({}); }), HasSubstr("no text was named"));
  EXPECT_THAT(test::data_error_of([&] { make({path("none.txt")}); }), HasSubstr("none.txt cannot be opened"));
  EXPECT_THAT(test::data_error_of([&] { make({path("pictures")}); }), HasSubstr("holds no text"));
  EXPECT_THAT(test::data_error_of([&] { make({path("a"), path("empty.txt")}); }), HasSubstr("adds no text"));
  EXPECT_THAT(test::data_error_of([&] { make({path("a"), path("again")}); }), HasSubstr("adds no text"));
  EXPECT_THAT(test::config_error_of([&] {
                make({path("a"), path("b/a.txt")});
              }),
              HasSubstr("are both of the domain a"));
  EXPECT_THAT(test::config_error_of([&] { make({"x\ny=" + path("a")}); }),
              HasSubstr("no name of printable ASCII"));
  EXPECT_THAT(test::config_error_of([&] { make({path("a")}, 259); }), HasSubstr("a vocabulary of 259"));
  EXPECT_THAT(test::config_error_of([&] { make({path("a")}, 50'000); }), HasSubstr("Vocabulary size too high"));
}

TEST_F(CorpusOf, a_file_that_breaks_its_promises_is_refused) {
  for (int i = 0; i < 30; ++i) write(fmt::format("a/{:02}.txt", i), page(i));
  const auto refusal = [&](const auto& change) {
    Corpus corpus = make({path("a")});
    change(corpus);
    write_corpus(path("bad.h5"), corpus);
    return test::data_error_of([&] { read_corpus(path("bad.h5")); });
  };
  EXPECT_THAT(refusal([](Corpus& c) { std::swap(c.document_begin[1], c.document_begin[2]); }),
              HasSubstr("and does not end there"));
  EXPECT_THAT(refusal([](Corpus& c) { ++c.document_begin[1]; }), HasSubstr("and does not end there"));
  EXPECT_THAT(refusal([](Corpus& c) {
                c.domains.push_back("b");
                c.document_domain[0] = 1;
              }),
              HasSubstr("is of split 0 and domain 0, behind 0 and 1"));
  EXPECT_THAT(refusal([](Corpus& c) { c.document_split[0] = 2; }), HasSubstr("behind 2 and 0"));
  EXPECT_THAT(refusal([](Corpus& c) { c.document_split.push_back(2); }), HasSubstr("splits of documents"));
  EXPECT_THAT(test::data_error_of([&] { read_corpus(path("a/00.txt")); }),
              HasSubstr("does not begin as a file of tokens"));
}

}  // namespace
}  // namespace switchyard::data
