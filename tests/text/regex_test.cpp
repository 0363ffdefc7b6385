// The regular expressions of pre-tokenizers: meaning, both engines, limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "text/error.h"
#include "text/regex/backtracker.h"
#include "text/regex/regex.h"

namespace rose::text::regex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  Regex regex(pattern);
  Regex::Matches all(regex, text);
  std::vector<std::string> out;
  for (Match match; all.next(match);) out.emplace_back(text.substr(match.begin, match.end - match.begin));
  return out;
}

constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

TEST(Regex, CutsAsLlama3Does) {
  EXPECT_THAT(matches(kLlama3, "I'LL pay  1234.50€\n\n  now"),
              ElementsAre("I", "'LL", " pay", " ", " ", "123", "4", ".", "50", "€\n\n", " ", " now"));
}

TEST(Regex, FirstAlternativeWinsNotTheLongest) {
  EXPECT_THAT(matches("a|ab", "abab"), ElementsAre("a", "a"));
  EXPECT_THAT(matches("ab|a", "abab"), ElementsAre("ab", "ab"));
  EXPECT_THAT(matches("a*?b", "aab"), ElementsAre("aab"));
  EXPECT_THAT(matches("a+?", "aaa"), ElementsAre("a", "a", "a"));
  EXPECT_THAT(matches("(?:ab|a)(?:bc|c)?", "abc"), ElementsAre("abc"));
}

TEST(Regex, LookAroundAndAnchors) {
  EXPECT_THAT(matches(R"(\s+(?!\S)|\s+)", "a   b  "), ElementsAre("  ", " ", "  "));
  EXPECT_THAT(matches(R"(\bfoo\b)", "foo food foo"), ElementsAre("foo", "foo"));
  EXPECT_THAT(matches("^x|x$", "xx\nxax"), ElementsAre("x", "x", "x", "x"));
  EXPECT_THAT(matches("(?<=a)b", "bab"), ElementsAre("b"));
  EXPECT_THAT(matches(R"(\d{1,3}(?=(?:\d{3})*\b))", "1234567"), ElementsAre("1", "234", "567"));
  EXPECT_THAT(matches("(?>a+)b|a", "aaac"), ElementsAre("a", "a", "a"));
  EXPECT_THAT(matches("a++a", "aaa"), ElementsAre());
}

TEST(Regex, Classes) {
  EXPECT_THAT(matches(R"([\p{Han}&&[^一]]+)", "一二三x"), ElementsAre("二三"));
  EXPECT_THAT(matches(R"([^\P{Lu}B]+)", "ABCd"), ElementsAre("A", "C"));
  EXPECT_THAT(matches("(?i)k", "kK\u212Ax"), ElementsAre("k", "K", "\u212A"));
  EXPECT_THAT(matches("(?i:'s)", "'S '\u017F"), ElementsAre("'S", "'\u017F"));
  EXPECT_THAT(matches(R"([[:punct:]\-x]+)", "a-!x"), ElementsAre("-!x"));
  EXPECT_THAT(matches(R"(\x41\x{1F44D}\u0042)", "A👍B"), ElementsAre("A👍B"));
}

TEST(Regex, EmptyMatchesDoNotLoop) {
  EXPECT_THAT(matches("x*", "axb"), ElementsAre("", "x", ""));
  EXPECT_THAT(matches("", "日本"), ElementsAre("", "", ""));
  EXPECT_THAT(matches("(?:a*)*", "b"), ElementsAre("", ""));
}

// The automaton and the backtracker must agree wherever both can run.
TEST(Regex, BothEnginesAgreeOnRandomTexts) {
  const std::string_view patterns[] = {kLlama3, "a|ab|abc*", R"((?:a|b)*?c|\s+(?!\S)|b{2,3}|.)",
                                       R"(\w+|[^\w\s]+|\b|^ +)", "(?<!a)b+|a{0,2}(?=b)|[^a]$"};
  std::mt19937 random(1);
  for (auto pattern : patterns) {
    Regex regex(pattern);
    ASSERT_TRUE(regex.is_automaton()) << pattern;
    Program program = compile(parse(pattern));
    auto automaton = Automaton::build(program);
    for (int round = 0; round < 2000; round++) {
      const std::string_view letters[] = {"a", "b", "c", " ", "\n", "1", "é", "日", "'s", "."};
      std::string text;
      for (size_t i = random() % 12; i-- > 0;) text += letters[random() % 10];
      for (size_t at = 0; at <= text.size(); at++) {
        if (at < text.size() && (text[at] & 0xC0) == 0x80) continue;
        size_t steps = 0;
        ASSERT_EQ(automaton->match(text, at, steps), Backtracker(program, text).match(at, steps, 1 << 20))
            << pattern << " on '" << text << "' at " << at;
      }
    }
  }
}

TEST(Regex, WrongPatternsSayWhatIsWrong) {
  const std::pair<std::string_view, std::string_view> cases[] = {{"(a", "lacks a ')'"},
                                                                 {"a)", "without '('"},
                                                                 {"[a", "lacks a ']'"},
                                                                 {"*a", "quantifier after nothing"},
                                                                 {R"(\p{Klingon})", "Klingon"},
                                                                 {R"((a)\1)", "back reference"},
                                                                 {"a{3,2}", "exchanged"},
                                                                 {"[z-a]", "exchanged"},
                                                                 {"a{2000}", "1000 times"},
                                                                 {"(?<=ab)c", "look-behind"},
                                                                 {R"(\q)", "not supported"},
                                                                 {"(?", "unknown group"},
                                                                 {"\xff", "UTF-8"}};
  for (const auto& [pattern, message] : cases) {
    try {
      Regex regex(pattern);
      FAIL() << pattern;
    } catch (const TextError& error) {
      EXPECT_THAT(error.what(), HasSubstr(message)) << pattern;
    }
  }
  std::string deep(5000, '(');
  EXPECT_THROW(Regex{deep}, TextError);
  EXPECT_THROW(Regex{"(?:(?:(?:a{1000}){1000}){1000})"}, TextError);
}

TEST(Regex, ExponentialPatternsStayFast) {
  std::string text(3000, 'a');
  EXPECT_THAT(matches("(?:a+)+b", text), ElementsAre());
  EXPECT_THAT(matches("(?:a|a)*b|(?=a*c)x", text.substr(0, 300)), ElementsAre());
  std::string longer(300000, 'a');
  EXPECT_THROW(matches("a*b", longer), TextError);  // quadratic: refused, not hung
}

}  // namespace
}  // namespace rose::text::regex
