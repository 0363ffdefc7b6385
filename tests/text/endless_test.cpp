// Small files and long texts that would take for ever, or all memory, if some step were not bounded or not
// linear. None of these tests looks at a clock: one that is not linear does not end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "small_tokenizers.h"
#include "text/jinja/chat_template.h"
#include "text/regex/regex.h"
#include "text/tokenizer/detokenizer.h"
#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/tokenizer.h"

namespace rose::text {
namespace {

using ::testing::HasSubstr;

template <typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const TextError& error) {
    return error.what();
  }
  return "no error";
}

std::string repeated(std::string_view part, size_t times) {
  std::string out;
  out.reserve(part.size() * times);
  for (size_t i = 0; i < times; ++i) out += part;
  return out;
}

TEST(EndlessTemplates, WalkingOverValuesCountsAsSteps) {
  jinja::Limits limits;
  limits.steps = 500'000, limits.created_bytes = 64 << 20, limits.output_bytes = 1 << 20;
  // Lists that hold the list before them twice: a hundred of them have 2^100 leaves.
  const std::string twice =
      "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(100) %}"
      "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}";
  const std::string tuples =
      "{% set ns = namespace(a=(1,)) %}{% for i in range(100) %}"
      "{% set ns.a = (ns.a, ns.a) %}{% endfor %}";
  const std::string texts =
      "{% set a = 'x' * 5000000 %}{% set b = 'x' * 5000000 %}{% for i in range(99999) %}";
  std::string variables;
  for (int i = 0; i < 2000; ++i) variables += "{% set v" + std::to_string(i) + " = 1 %}";
  const std::pair<std::string, const char*> cases[] = {
      {twice + "{{ ns.a == ns.b }}", "too many steps"},
      {twice + "{{ ns.a < ns.b }}", "too many steps"},
      {twice + "{{ ns.a in [ns.b] }}", "too many steps"},
      {twice + "{{ [ns.a, ns.b] | sort }}", "too many steps"},
      {twice + "{{ [ns.a, ns.b] | max }}", "too many steps"},
      {twice + "{{ ns.a is sameas ns.b }}", "too many steps"},
      {twice + "{{ [ns.a].count(ns.b) }}", "too many steps"},
      {twice + "{{ ns.a | tojson }}", "steps"},
      {twice + "{{ ns.a }}", "larger than"},
      {tuples + "{{ {ns.a: 1} }}", "too large"},
      {tuples + "{{ {}[ns.a] }}", "too large"},
      {tuples + "{{ [ns.a] | unique | list }}", "too large"},
      {texts + "{% if a == b %}{% endif %}{% endfor %}", "steps"},
      {texts + "{% if a < b %}{% endif %}{% endfor %}", "steps"},
      {texts + "{% if a | length %}{% endif %}{% endfor %}", "steps"},
      {texts + "{% if a is upper %}{% endif %}{% endfor %}", "steps"},
      {texts + "{% if a.startswith(b) %}{% endif %}{% endfor %}", "steps"},
      {texts + "{% if a[:1] %}{% endif %}{% endfor %}", "bytes of values"},
      {texts + "{% if {}[a] %}{% endif %}{% endfor %}", "steps"},
      {"{% set a = 'x' * 2000000 %}{{ a.find('x' * 1000000 ~ 'y') }}", "steps"},
      {"{% set a = 'x' * 2000000 %}{{ ('x' * 1000000 ~ 'y') in a }}", "steps"},
      {"{% set a = 'x' * 2000000 %}{{ a | replace('x' * 1000000 ~ 'y', 'z') }}", "steps"},
      {variables + "{% for i in range(99999) %}{% for j in range(999) %}{% if v1999 %}{% endif %}{% endfor "
                   "%}{% endfor %}",
       "steps"},
  };
  for (const auto& [source, expected] : cases)
    EXPECT_THAT(message_of([&, text = source] { ChatTemplate(text, limits).render(Json::object()); }),
                HasSubstr(expected))
        << source.substr(source.size() > 200 ? source.size() - 200 : 0);
}

TEST(EndlessTemplates, UsualOnesAreFarFromTheLimits) {
  Json messages = Json::array();
  for (int i = 0; i < 2000; ++i)
    messages.push_back({{"role", i % 2 ? "assistant" : "user"}, {"content", repeated("some words ", 100)}});
  ChatTemplate chat_template(
      "{% for m in messages %}{% if m['role'] == 'user' and not m.content.startswith('<tool>') %}"
      "{{ '<|' + m['role'] + '|>' + m['content'] | trim | replace('words', 'word') + '\\n' }}"
      "{% elif '</think>' in m.content %}{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% "
      "endif %}"
      "{% endfor %}");
  EXPECT_EQ(chat_template.render({{"messages", messages}}).size(), 1000 * (100 * 10 - 1 + 9) + 1000 * 1100);
}

TEST(EndlessPatterns, AreRefusedOrRun) {
  const std::string nothing = "(?:(?:(?:(?:){1000}){1000}){1000}){1000}";
  EXPECT_THAT(message_of([&] { regex::Regex pattern(nothing); }), HasSubstr("repetitions"));
  EXPECT_THAT(message_of([&] { regex::Regex pattern("(?:(?:|){1000}){1000}"); }), HasSubstr("repetitions"));
  // Thousands of states of thousands of places each: the tables are not made, the pattern still runs.
  for (const char* wide : {"(?:[ab]*a[ab]{12}|c){900}", "[ab]*a(?:[ab]{1,9}){900}"}) {
    regex::Regex pattern(wide);
    EXPECT_FALSE(pattern.is_automaton()) << wide;
    regex::Regex::Matches matches(pattern, "abba");
    regex::Match match;
    EXPECT_FALSE(matches.next(match)) << wide;
  }
  const std::string text = repeated("a", 200'000);
  regex::Regex quadratic("a*b|a");
  EXPECT_THAT(message_of([&] {
                regex::Regex::Matches matches(quadratic, text);
                for (regex::Match match; matches.next(match);) {
                }
              }),
              HasSubstr("too many steps"));
}

TEST(EndlessTokenizers, StepsThatDoubleAText) {
  auto sequence = [](const char* list, const Json& step) {
    Json steps = Json::array();
    for (int i = 0; i < 60; ++i) steps.push_back(step);
    return Json{{"type", "Sequence"}, {list, steps}};
  };
  auto encode = [](const Json& json) {
    return message_of([&] { Tokenizer::from_json(json.dump())->encode("héllo a a"); });
  };
  const Json doubling = {{"type", "Replace"}, {"pattern", {{"Regex", "a|é"}}}, {"content", "aa"}};
  Json json = byte_level_json();
  json["normalizer"] = sequence("normalizers", doubling);
  EXPECT_THAT(encode(json), HasSubstr("without end"));
  json["normalizer"] = sequence("normalizers", sequence("normalizers", doubling));
  EXPECT_THAT(encode(json), HasSubstr("without end"));
  json["normalizer"] = {
      {"type", "Replace"}, {"pattern", {{"Regex", "."}}}, {"content", std::string(1 << 20, 'x')}};
  EXPECT_THAT(encode(json), HasSubstr("without end"));
  json["normalizer"] = sequence("normalizers", {{"type", "ByteLevel"}});
  EXPECT_THAT(encode(json), HasSubstr("without end"));
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = sequence("pretokenizers", {{"type", "ByteLevel"}});
  EXPECT_THAT(encode(json), HasSubstr("without end"));
  json = sentencepiece_json();
  json["decoder"] = sequence("decoders", doubling);
  auto tokenizer = Tokenizer::from_json(json.dump());
  auto ids = tokenizer->encode("a a a");
  EXPECT_THAT(message_of([&] { tokenizer->decode(ids); }), HasSubstr("without end"));
}

TEST(EndlessTokenizers, AWordAsLongAsItsLimit) {
  Json json = bert_json();
  json["model"]["max_input_chars_per_word"] = 4'000'000'000u;
  json["model"]["vocab"][std::string(1'000'000, 'q')] = 11;
  json["model"]["vocab"]["q"] = 12, json["model"]["vocab"]["##q"] = 13;
  auto ids = Tokenizer::from_json(json.dump())->encode(std::string(999'999, 'q'));
  EXPECT_EQ(ids.size(), 999'999u + 2);
}

// The pre-tokenizers and models of the families on texts without a place to cut.
TEST(EndlessTokenizers, LongRunsOfOneCharacter) {
  std::vector<std::pair<std::string, Json>> kinds = {{"byte-level", byte_level_json()},
                                                     {"sentencepiece", sentencepiece_json()},
                                                     {"wordpiece", bert_json()},
                                                     {"unigram", unigram_json()}};
  Json llama3 = byte_level_json();
  llama3["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"},
         {"pattern",
          {{"Regex",
            R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}},
         {"behavior", "Isolated"}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  kinds.emplace_back("llama 3", llama3);
  for (const auto& [name, json] : kinds) {
    auto tokenizer = Tokenizer::from_json(json.dump());
    for (std::string_view part :
         {"a", "h", " ", "\n", "1", "!", "'", "\u0301", "▁", "世", "\U0001F642", "\xff", " \n", "a "}) {
      const std::string text = repeated(part, 300'000 / part.size());
      auto ids = tokenizer->encode(text);
      Detokenizer stream(*tokenizer);
      std::string streamed;
      for (size_t i = 0; i < std::min<size_t>(ids.size(), 2000); ++i) streamed += stream.push(ids[i]);
      tokenizer->decode(ids);
      EXPECT_LE(ids.size(), 900'010u) << name << " '" << part << "'";
    }
  }
}

TEST(EndlessTokenizers, LongMarksInFrontOfCharacters) {
  // Combining marks are sorted within a run; this run is the whole text.
  std::string marks = "e";
  for (int i = 0; i < 100'000; ++i) marks += i % 2 ? "\u0301" : "\u0323";
  Json json = byte_level_json();
  for (const char* form : {"NFC", "NFD", "NFKC", "NFKD"}) {
    json["normalizer"] = {{"type", form}};
    EXPECT_GT(Tokenizer::from_json(json.dump())->encode(marks).size(), 100'000u) << form;
  }
}

}  // namespace
}  // namespace rose::text
