// UTF-8 policy, normalisation forms and properties.
#include <gtest/gtest.h>

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
