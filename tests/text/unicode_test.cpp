// UTF-8 policy, normalisation forms and properties.
#include <gtest/gtest.h>

#include <random>

#include "text/unicode/normalize.h"
#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text::unicode {
namespace {

struct Repair {
  std::string_view bytes;
  std::string_view text;
};

// The right column is Python's bytes.decode("utf-8", "replace").
TEST(Utf8, EachMaximalWrongSubpartBecomesOneReplacement) {
  using namespace std::string_view_literals;
  const Repair cases[] = {
      {"abc"sv, "abc"sv},
      {"\xff"sv, "\uFFFD"sv},
      {"a\x80z"sv, "a\uFFFDz"sv},
      {"\xc3"sv, "\uFFFD"sv},
      {"\xc3\x28"sv, "\uFFFD("sv},
      {"\xe2\x82"sv, "\uFFFD"sv},
      {"\xe2\x82z"sv, "\uFFFDz"sv},
      {"\xf0\x9f\x91"sv, "\uFFFD"sv},
      {"\xf0\x9f\x91\x8d"sv, "\U0001F44D"sv},
      {"\xed\xa0\x80"sv, "\uFFFD\uFFFD\uFFFD"sv},  // a surrogate
      {"\xc0\xaf"sv, "\uFFFD\uFFFD"sv},            // an overlong '/'
      {"\xe0\x80\xaf"sv, "\uFFFD\uFFFD\uFFFD"sv},
      {"\xf4\x90\x80\x80"sv, "\uFFFD\uFFFD\uFFFD\uFFFD"sv},  // beyond U+10FFFF
      {"\xf5\x80"sv, "\uFFFD\uFFFD"sv},
      {"\0\xfe"sv, "\0\uFFFD"sv},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(replace_invalid(c.bytes), c.text) << ::testing::PrintToString(std::string(c.bytes));
    EXPECT_EQ(is_valid(c.bytes), c.bytes == c.text);
    EXPECT_TRUE(is_valid(replace_invalid(c.bytes)));
  }
}

// A second opinion on every length and place of a mistake: character by character.
bool each_is_valid(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    auto seen = inspect(text, at);
    if (seen.kind != Sequence::kValid) return false;
    at += seen.length;
  }
  return true;
}

TEST(Utf8, LongTextsAreCheckedAsTheirCharactersAre) {
  std::mt19937 random(1);
  const std::vector<std::vector<uint8_t>> interesting = {{0x00, 0x7F, 'a'},
                                                         {0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF},
                                                         {0xC0, 0xC1, 0xC2, 0xDF},
                                                         {0xE0, 0xE1, 0xED, 0xEE, 0xEF},
                                                         {0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF}};
  size_t valid = 0;
  for (int i = 0; i < 200'000; i++) {
    std::string text;
    const size_t size = 60 + random() % 80;
    while (text.size() < size) {
      char32_t point = random() % (random() % 2 ? 0x80 : random() % 2 ? 0x3000 : 0x110000);
      if (point < 0xD800 || point >= 0xE000) append(text, point);
    }
    if (random() % 4 == 0) text.resize(size);
    for (auto wrong = random() % 4; wrong > 1; wrong--) {
      const auto& kind = interesting[random() % interesting.size()];
      text[random() % text.size()] = static_cast<char>(kind[random() % kind.size()]);
    }
    valid += each_is_valid(text);
    ASSERT_EQ(is_valid(text), each_is_valid(text)) << ::testing::PrintToString(text);
  }
  EXPECT_GT(valid, 50'000U);
}

// All sequences of up to four bytes that matter, at each place of a block and across its end.
TEST(Utf8, LongTextsWithAnyShortSequence) {
  const std::vector<int> bytes = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                                  0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF,
                                  0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF};
  std::string text(96, 'x');
  size_t round = 0;
  for (int a : bytes)
    for (int b : bytes)
      for (int c : bytes)
        for (int d : bytes) {
          const size_t at = 28 + round++ % 69;
          const int four[] = {a, b, c, d};
          for (size_t i = 0; i < 4 && at + i < text.size(); i++) text[at + i] = static_cast<char>(four[i]);
          ASSERT_EQ(is_valid(text), each_is_valid(text)) << ::testing::PrintToString(text);
          text.assign(96, 'x');
        }
}

TEST(Utf8, EveryCodePointSurvivesEncodingAndDecoding) {
  for (char32_t point = 0; point < 0x110000; point++) {
    if (point >= 0xD800 && point < 0xE000) continue;
    std::string text = encode(point);
    ASSERT_TRUE(is_valid(text));
    auto [decoded, next] = decode(text, 0);
    ASSERT_TRUE(decoded == point);
    ASSERT_EQ(next, text.size());
    ASSERT_EQ(previous(text, next), 0u);
    ASSERT_EQ(sequence_length(text[0]), text.size());
  }
}

TEST(Normalize, KnownTexts) {
  EXPECT_EQ(normalize("e\u0301", Form::kNfc), "é");
  EXPECT_EQ(normalize("é", Form::kNfd), "e\u0301");
  EXPECT_EQ(normalize("\u1E9B\u0323", Form::kNfc), "\u1E9B\u0323");
  EXPECT_EQ(normalize("\u1E9B\u0323", Form::kNfkc), "\u1E69");
  EXPECT_EQ(normalize("\u1E9B\u0323", Form::kNfd), "\u017F\u0323\u0307");
  EXPECT_EQ(normalize("ﬁ½", Form::kNfkd), "fi1\u20442");
  EXPECT_EQ(normalize("각", Form::kNfd), "\u1100\u1161\u11A8");
  EXPECT_EQ(normalize("\u1100\u1161\u11A8", Form::kNfc), "각");
  EXPECT_EQ(normalize("\u212B", Form::kNfc), "\u00C5");
  EXPECT_EQ(normalize("q\u0307\u0323", Form::kNfc), "q\u0323\u0307");
  EXPECT_EQ(normalize("\u0958", Form::kNfc), "\u0915\u093C");  // a composition exclusion
}

TEST(Normalize, LawsHoldForEveryCodePointAlone) {
  for (char32_t point = 0; point < 0x110000; point++) {
    if (point >= 0xD800 && point < 0xE000) continue;
    std::string text = encode(point);
    std::string nfc = normalize(text, Form::kNfc), nfd = normalize(text, Form::kNfd);
    ASSERT_EQ(normalize(nfd, Form::kNfd), nfd) << uint32_t{point};
    ASSERT_EQ(normalize(nfc, Form::kNfc), nfc) << uint32_t{point};
    ASSERT_EQ(normalize(nfd, Form::kNfc), nfc) << uint32_t{point};
    ASSERT_EQ(normalize(nfc, Form::kNfd), nfd) << uint32_t{point};
    // The quick check may never call text normal that is not; U+0344 before it forces the slow way.
    for (Form form : {Form::kNfc, Form::kNfd, Form::kNfkc, Form::kNfkd}) {
      std::string forced = normalize("\u0344" + text, form);
      if (is_surely_normalized(text, form)) {
        ASSERT_TRUE(forced.ends_with(text)) << uint32_t{point};
      }
    }
  }
}

TEST(Properties, SpacesDigitsPunctuationAndCase) {
  for (char32_t space : {U' ', U'\t', U'\n', U'\u00A0', U'\u2003', U'\u3000', U'\u0085'})
    EXPECT_TRUE(is_space(space));
  for (char32_t other : {U'a', U'\u200B', U'\u001C', U'_'}) EXPECT_FALSE(is_space(other));
  for (char32_t number : {U'0', U'٣', U'½', U'Ⅷ'}) EXPECT_TRUE(is_numeric(number));
  for (char32_t mark : {U'!', U'$', U'。', U'«'}) EXPECT_TRUE(is_punctuation(mark));
  EXPECT_FALSE(is_punctuation(U'€'));
  EXPECT_STREQ(kCategoryNames[category(U'A')], "Lu");
  EXPECT_STREQ(kCategoryNames[category(U'\U0010FFFF')], "Cn");
  EXPECT_EQ(lowercase("ÀÉİΣ ABC"), "àéi\u0307σ abc");
  EXPECT_EQ(uppercase("straße ﬁ"), "STRASSE FI");
}

}  // namespace
}  // namespace rose::text::unicode
