#include "data/vocabulary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.hpp"
#include "support/config_error.hpp"

namespace switchyard::data {
namespace {

using testing::HasSubstr;

// Words that repeat, in lines.
std::string words(std::uint32_t seed, std::size_t bytes) {
  constexpr const char* of[] = {"switch",  "yard",       "the",   "wagons", "arrive", "and",
                                "depart,", "  indented", "naïve", "42",     "(x)",    "→"};
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) (text += of[random() % std::size(of)]) += random() % 7 == 0 ? "\n" : " ";
  return text;
}

Vocabulary train(std::string_view text, index_t vocabulary) {
  return Vocabulary::train(
      [&](std::string_view& line) {
        if (text.empty()) return false;
        line = first_line(text);
        text.remove_prefix(line.size());
        return true;
      },
      vocabulary);
}

std::vector<std::int32_t> encode(const Vocabulary& vocabulary, std::string_view text) {
  std::vector<std::int32_t> tokens;
  vocabulary.encode(text, tokens);
  return tokens;
}

class Tokens : public testing::Test {
 protected:
  static void SetUpTestSuite() { vocabulary_ = new Vocabulary(train(words(1, 40'000), 360)); }
  static void TearDownTestSuite() { delete vocabulary_; }
  static const Vocabulary* vocabulary_;
};
const Vocabulary* Tokens::vocabulary_ = nullptr;

TEST_F(Tokens, give_back_any_text) {
  std::mt19937 random(3);
  std::string noise, sparse = words(2, 3000);
  for (int i = 0; i < 20'000; ++i) noise += static_cast<char>(random());
  for (int i = 0; i < 300; ++i) sparse[random() % sparse.size()] = static_cast<char>(random());
  const std::string long_line(10'000, 'a'), long_tail = std::string(4095, 'x') + "é→\n";
  using namespace std::string_literals;
  for (const std::string& text :
       {words(2, 5000), noise, sparse, long_line, long_tail, ""s, "\n"s, "\n\n \n"s, " "s, "    a  b   "s,
        "\ta\tb\n"s, "a\0b"s, "\xe2\x96\x81 \xe2\x96\x85"s, "\xed\xa0\x80\xf4\x90\x80\x80\xc0\x80\xe2\x96"s,
        "<0x41></s><unk>"s, "\r\nend without a break"s,
        "\xef\xbb\xbf"
        "marked"s})
    EXPECT_EQ(vocabulary_->decode(encode(*vocabulary_, text)), text);
}

TEST_F(Tokens, are_fewer_than_bytes_and_none_is_without_text) {
  const std::string text = words(2, 5000);
  const auto tokens = encode(*vocabulary_, text);
  EXPECT_LT(tokens.size() * 3, text.size());
  for (const std::int32_t token : tokens)
    ASSERT_FALSE(vocabulary_->pieces()[static_cast<std::size_t>(token)].bytes.empty()) << token;
}

// A line's tokens do not depend on what stands around it.
TEST_F(Tokens, of_lines_are_those_of_the_text) {
  const std::string text = words(4, 2000);
  std::vector<std::int32_t> by_line;
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(first_line(rest).size()))
    vocabulary_->encode(first_line(rest), by_line);
  EXPECT_EQ(by_line, encode(*vocabulary_, text));
}

TEST_F(Tokens, have_bytes_and_an_end) {
  ASSERT_EQ(vocabulary_->size(), 360);
  std::size_t of_bytes = 0;
  for (const Piece& piece : vocabulary_->pieces()) of_bytes += piece.kind == Piece::Kind::byte ? 1U : 0U;
  EXPECT_EQ(of_bytes, 256U);
  EXPECT_EQ(vocabulary_->pieces()[Vocabulary::end_of_document].kind, Piece::Kind::end_of_document);
}

TEST_F(Tokens, are_the_same_from_the_same_lines_and_from_a_stored_model) {
  const Vocabulary again = train(words(1, 40'000), 360);
  EXPECT_EQ(again.model(), vocabulary_->model());
  const Vocabulary stored(vocabulary_->model());
  EXPECT_EQ(encode(stored, words(5, 3000)), encode(*vocabulary_, words(5, 3000)));
}

// SentencePiece passes over a line with a character that it keeps for itself.
TEST(Vocabulary, learns_from_what_stands_around_them) {
  const std::string plain = words(1, 20'000);
  std::string text;
  for (std::string_view rest = plain; !rest.empty(); rest.remove_prefix(first_line(rest).size()))
    (text += first_line(rest)).insert(text.size() - 1, "\xe2\x96\x85");
  const Vocabulary vocabulary = train(text, 330);
  EXPECT_LT(2 * encode(vocabulary, text).size(), text.size());
}

TEST(Vocabulary, refuses_a_vocabulary_that_the_text_cannot_have) {
  const std::string text = words(1, 5000);
  EXPECT_THAT(test::config_error_of([&] { train(text, 259); }),
              HasSubstr("a vocabulary of 259 (it holds the 256 bytes"));
  EXPECT_THAT(test::config_error_of([&] { train(text, 262); }), HasSubstr("cannot be made of this text"));
  EXPECT_THAT(test::config_error_of([&] { train(text, 9000); }), HasSubstr("cannot be made of this text"));
  EXPECT_THAT(test::config_error_of([&] { train("", 300); }), HasSubstr("cannot be made of this text"));
}

TEST(Vocabulary, refuses_a_model_that_is_none) {
  EXPECT_THROW(Vocabulary("no model"), DataError);
  EXPECT_THROW(Vocabulary(""), DataError);
}

}  // namespace
}  // namespace switchyard::data
